/* The blob in flash, at a multiple of 16; MODEL_BLOB names the file. */
    .section .rodata.blob, "a"
    .balign 16
    .global blob_start, blob_end
blob_start:
    .incbin MODEL_BLOB
blob_end:
