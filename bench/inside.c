/* The workload of an init that is measured. What it tells is the clock, eight bytes on stdout.
 *
 * Usage: inside first           tell at the first instruction, and leave
 *        inside rest            tell, and leave at the end of stdin
 *        inside pause           tell, and stay until a signal kills it
 *        inside answer          tell, and tell at each SIGUSR1
 *        inside storm COUNT     tell, and at a byte of stdin leave so many orphans, which end at
 *                               once; then tell, and leave at the end of stdin
 *        inside helpers COUNT   tell when so many helpers are ready, in sessions of their own; leave
 *                               at SIGTERM. At SIGTERM a helper works for 100 ms, tells, and leaves
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum { ORPHANS_OF_ONE = 50 }; /* at most so many run at once */

static void tell(void)
{
	long long time = now();

	if (write(1, &time, sizeof time) != sizeof time)
		_exit(1);
}

static void read_to_end(void)
{
	char byte;

	while (read(0, &byte, 1) > 0)
		;
}

static void block(int signum, sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, signum);
	sigprocmask(SIG_BLOCK, set, NULL);
}

static int fork_or_fail(void)
{
	pid_t pid = fork();

	if (pid < 0)
		_exit(1);
	return pid;
}

static void answer(void)
{
	sigset_t set;
	int signum;

	block(SIGUSR1, &set);
	tell();
	while (sigwait(&set, &signum) == 0)
		tell();
}

/* What a process leaves behind is its init's: the parent of orphans ends before they are reaped. */
static void leave_orphans(int count)
{
	for (int i = 0; i < count; i++)
		if (fork_or_fail() == 0)
			_exit(0);
	_exit(0);
}

static void storm(int count)
{
	char byte;

	tell();
	if (read(0, &byte, 1) != 1)
		_exit(1);
	for (int left = count; left > 0; left -= ORPHANS_OF_ONE) {
		pid_t parent = fork_or_fail();
		if (parent == 0)
			leave_orphans(left < ORPHANS_OF_ONE ? left : ORPHANS_OF_ONE);
		waitpid(parent, NULL, 0);
	}
	tell();
	read_to_end();
}

static void help(const sigset_t *term, int ready)
{
	struct timespec work = {.tv_nsec = 100 * 1000 * 1000};
	int signum;

	setsid();
	if (write(ready, "", 1) != 1)
		_exit(1);
	close(ready);
	sigwait(term, &signum);
	while (nanosleep(&work, &work) != 0)
		;
	tell();
	_exit(0);
}

static void helpers(int count)
{
	sigset_t term;
	int ready[2], signum;
	char byte;

	block(SIGTERM, &term);
	if (pipe(ready) != 0)
		_exit(1);
	for (int i = 0; i < count; i++)
		if (fork_or_fail() == 0)
			help(&term, ready[1]);
	for (int i = 0; i < count; i++)
		if (read(ready[0], &byte, 1) != 1)
			_exit(1);
	tell();
	sigwait(&term, &signum);
}

int main(int argc, char **argv)
{
	const char *what = argv[1];
	int count = argc > 2 ? atoi(argv[2]) : 0;

	if (strcmp(what, "answer") == 0)
		answer();
	else if (strcmp(what, "storm") == 0)
		storm(count);
	else if (strcmp(what, "helpers") == 0)
		helpers(count);
	else
		tell();
	if (strcmp(what, "rest") == 0)
		read_to_end();
	if (strcmp(what, "pause") == 0)
		for (;;)
			pause();
	return 0;
}
