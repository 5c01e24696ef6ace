/* malloc(3) that runs out while a child is looked for: to be preloaded.
 *
 * From the first waitid(2) on that does not wait, and finds nobody, there are FRESH blocks to be had, a number in the
 * environment; after these only what was given back meanwhile, and only in the size it had. There is
 * memory again with sched_yield(2).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 4096, WORD = 8, STEP = 16 };

extern void *__libc_malloc(size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static int is_short, fresh, count;
static void *given_back[MOST];

int waitid(idtype_t what, id_t id, siginfo_t *found, int options)
{
	if (!(options & WNOHANG))
		return syscall(SYS_waitid, what, id, found, options, NULL);
	fresh = atoi(getenv("FRESH"));
	memset(found, 0, sizeof *found);
	is_short = 1;
	return 0;
}

int sched_yield(void)
{
	is_short = 0;
	return 0;
}

void *malloc(size_t size)
{
	size_t usable = ((size + WORD + STEP - 1) & -STEP) - WORD;

	if (!is_short)
		return __libc_malloc(size);
	for (int i = 0; i < count; i++) {
		void *block = given_back[i];
		if (malloc_usable_size(block) == usable) {
			given_back[i] = given_back[--count];
			return block;
		}
	}
	if (fresh-- > 0)
		return __libc_malloc(size);
	errno = ENOMEM;
	return NULL;
}

void free(void *block)
{
	if (is_short && block != NULL && count < MOST)
		given_back[count++] = block;
	else
		__libc_free(block);
}

void *realloc(void *block, size_t size)
{
	if (!is_short || block == NULL)
		return block == NULL ? malloc(size) : __libc_realloc(block, size);
	if (size <= malloc_usable_size(block))
		return block;
	errno = ENOMEM;
	return NULL;
}

void *calloc(size_t number, size_t size)
{
	void *block = malloc(number * size);

	return block == NULL ? NULL : memset(block, 0, number * size);
}
