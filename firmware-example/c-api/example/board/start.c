/* The example on a Cortex-M in QEMU, without an operating system: text goes to the debugger by semihosting. */

#include "../example.h"

extern uint32_t stack_top[], data_start[], data_end[], data_load[], bss_start[], bss_end[];
extern const uint8_t blob_start[], blob_end[];

static int semihosting(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void say(const char *text, size_t bytes) {
    static int terminal = 0;
    if (terminal == 0) {
        const struct {
            const char *name;
            size_t mode, length;
        } open = {":tt", 4 /* to write */, 3};
        terminal = semihosting(0x01, &open);
    }
    const struct {
        size_t handle;
        const char *text;
        size_t bytes;
    } write = {(size_t)terminal, text, bytes};
    semihosting(0x05, &write);
}

static _Noreturn void leave(int code) {
    const int reason[2] = {0x20026, code}; /* ADP_Stopped_ApplicationExit */
    for (;;) semihosting(0x20, reason);
}

_Noreturn void fault(void) { leave(3); }

_Noreturn void reset(void) {
    for (uint32_t *to = data_start, *from = data_load; to < data_end;) *to++ = *from++;
    for (uint32_t *to = bss_start; to < bss_end;) *to++ = 0;
#ifdef __ARM_FP
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* CPACR: the FPU for everybody */
    __asm__ volatile("dsb\n\tisb");
#endif
    leave(example(blob_start, (size_t)(blob_end - blob_start)));
}

typedef void handler(void);

/* What the processor starts from: the stack's end, then reset, and the faults that are 3 to 6, 11, 14 and 15. */
static const struct {
    void *stack;
    handler *handlers[15];
} vectors __attribute__((section(".vectors"), used)) = {
    stack_top, {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, 0, 0, fault, fault}};
