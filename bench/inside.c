/* The workload of an init that is measured. "Write" below means: write the time to stdout, as eight
 * bytes.
 *
 * Usage: inside first           write at the first instruction, and exit
 *        inside rest            write, and exit at the end of stdin
 *        inside pause           write, and stay until a signal kills it
 *        inside answer          write, and write again at each SIGUSR1
 *        inside storm COUNT     write; at a byte on stdin make COUNT orphans, which exit at once;
 *                               then write, and exit at the end of stdin
 *        inside helpers COUNT   start COUNT helpers in sessions of their own, and write when all are
 *                               ready; exit at SIGTERM. At SIGTERM a helper works for 100 ms,
 *                               writes, and exits
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum { ORPHANS_OF_ONE = 50 }; /* no more of them run at the same time */

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

/* The parent of orphans exits before they are reaped, so that they become children of the init. */
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
