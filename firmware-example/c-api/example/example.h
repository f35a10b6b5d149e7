/* What the example and whatever it runs on know of each other. */

#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* Writes text to where it is read: a terminal, a UART, a debugger. */
void say(const char *text, size_t bytes);

/* The example with a blob; 0 if all went well. */
int example(const uint8_t *blob, size_t blob_bytes);

#endif
