/* Rewrite memory that another process reads, without a pause, and answer signals at the same time.
 *
 * A library for hostile.py, which says where in its interpreter a stack is read from. While it
 * serves, no Python runs in this process. SIGUSR1 makes an orphan, which exits at once,
 * and is answered by a line; SIGUSR2 makes it exit 7; SIGTERM does nothing. All three are blocked.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

struct range {
	uint64_t *words;
	size_t count;
};

static struct range *ranges;
static int count;
static uint64_t chance = 88172645463325252ULL;

/* xorshift64 of Marsaglia */
static uint64_t draw(void)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return chance;
}

static volatile uint64_t *any_word(void)
{
	struct range *range = &ranges[draw() % count];

	return &range->words[draw() % range->count];
}

/* Only one word at a time is wrong, and not for long, so that readers get far. */
static void *garble(void *nothing)
{
	for (;;) {
		volatile uint64_t *word = any_word();
		uint64_t kept = *word;

		switch (draw() % 5) {
		case 0:
			*word = kept ^ (1ULL << draw() % 64);
			break;
		case 1:
			*word = *any_word();
			break;
		case 2:
			*word = (uint64_t)any_word();
			break;
		case 3:
			*word = draw();
			break;
		default:
			*word = draw() % 2 ? 0 : ~0ULL;
		}
		for (volatile int left = draw() % 4096; left > 0; left--)
			;
		*word = kept;
	}
	return nothing;
}

static void make_orphan(void)
{
	pid_t parent = fork();

	if (parent == 0) {
		fork();
		_exit(0);
	}
	waitpid(parent, NULL, 0);
}

void serve(struct range *told, int told_count, int is_garbling)
{
	sigset_t wanted;
	pthread_t thread;
	int got;

	ranges = told;
	count = told_count;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGUSR1);
	sigaddset(&wanted, SIGUSR2);
	if (is_garbling && pthread_create(&thread, NULL, garble, NULL) != 0)
		_exit(1);
	dprintf(1, "ready (pid: %d)\n", getpid());
	while (sigwait(&wanted, &got) == 0 && got != SIGUSR2)
		if (got == SIGUSR1) {
			make_orphan();
			dprintf(1, "got it\n");
		}
	_exit(7);
}
