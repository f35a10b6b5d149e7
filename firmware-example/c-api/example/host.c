/* The example with an operating system: the blob comes from a file. */

#include "example.h"

#include <stdio.h>
#include <stdlib.h>

void say(const char *text, size_t bytes) { fwrite(text, 1, bytes, stdout); }

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) return fprintf(stderr, "usage: score BLOB\n"), 2;
    const size_t bytes = (size_t)ftell(file);
    rewind(file);
    /* Both are multiples of 16, as aligned_alloc and the library want them. */
    uint8_t *blob = aligned_alloc(16, (bytes + 15) / 16 * 16);
    if (blob == NULL || fread(blob, 1, bytes, file) != bytes) return fprintf(stderr, "score: %s: cannot be read\n", argv[1]), 2;
    fclose(file);
    const int code = example(blob, bytes);
    free(blob);
    return code;
}
