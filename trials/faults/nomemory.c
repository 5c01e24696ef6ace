/* Loaded with LD_PRELOAD: from the fork of the child on the parent's first thread gets no memory,
 * at the allocations NOMEMORY_FIRST to NOMEMORY_LAST, counted from 1. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long first, last, count;
static pid_t forked;

static int refuse(void) {
    if (!forked || syscall(SYS_gettid) != forked) return 0;
    count++;
    if (count < first || count > last) return 0;
    errno = ENOMEM;
    return 1;
}

pid_t fork(void) {
    static pid_t (*real)(void);
    if (!real) real = (pid_t (*)(void))dlsym(RTLD_NEXT, "fork");
    pid_t child = real();
    if (child > 0 && getenv("NOMEMORY_FIRST")) {
        first = atol(getenv("NOMEMORY_FIRST"));
        last = atol(getenv("NOMEMORY_LAST"));
        forked = syscall(SYS_gettid);
    }
    return child;
}

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *malloc(size_t size) { return refuse() ? NULL : __libc_malloc(size); }
void *calloc(size_t number, size_t size) { return refuse() ? NULL : __libc_calloc(number, size); }
void *realloc(void *old, size_t size) { return refuse() ? NULL : __libc_realloc(old, size); }

void _exit(int code) {
    const char *path = getenv("NOMEMORY_COUNT");
    if (forked && path) {
        FILE *file = fopen(path, "w");
        if (file) {
            long made = count;
            fprintf(file, "%ld", made);
            fclose(file);
        }
    }
    syscall(SYS_exit_group, code);
    __builtin_unreachable();
}
