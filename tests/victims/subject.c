/* A process that does something with a signal, in a PID namespace of its own, and the sender of it.
 *
 * subject PLACE SIGNUM WORD...
 *
 * PLACE is `init` (PID 1), `other` (a child of PID 1) or `alone` (the same, in an orphaned process
 * group). The words: `ignored`, `caught`, `blocked` and `awaited` (with sigtimedwait) say what the
 * first thread does with the signal; with `thread` there is a second one that does not block it,
 * with `blocked-thread` one that does. With `ended` the first thread ends, and it is the second one
 * that does not block it, or does for `blocked-thread`, or awaits it. Lines on stdout:
 *
 *	init N		the pid of PID 1 as seen from outside
 *	ready		the subject is set up
 *	got N		a handler ran
 *	took N		sigtimedwait returned
 *	sent		the sender inside has sent the signal; it does so for a line on stdin
 *	killed N, stopped N, continued, exited N	what became of the subject
 *
 * 32 and 33 belong to the C library, which refuses to set them: hence the bare system calls.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BIT(n) (UINT64_C(1) << ((n) - 1))

struct action { /* that of the kernel: rt_sigaction(2) */
	void (*handler)(int);
	unsigned long flags;
#ifdef __x86_64__
	void (*restorer)(void);
#endif
	uint64_t mask;
};

static int signum, marker, marks[2], ping[2], pong[2];
static pthread_barrier_t set_up;
static volatile int first_lives;

static void tell(const char *what, int number)
{
	char line[64];
	int length = number < 0 ? snprintf(line, sizeof line, "%s\n", what)
				: snprintf(line, sizeof line, "%s %d\n", what, number);

	if (write(1, line, length) != length)
		_exit(3);
}

static void handler(int got)
{
	tell("got", got);
}

static void mark(int got)
{
	char byte = got;

	if (write(marks[1], &byte, 1) != 1)
		_exit(3);
}

static void dispose(int number, void (*what)(int))
{
	struct action action;

	signal(SIGUSR1, handler); /* to get what the C library adds */
	syscall(SYS_rt_sigaction, SIGUSR1, NULL, &action, 8);
	signal(SIGUSR1, SIG_DFL);
	action.handler = what;
	action.mask = ~UINT64_C(0); /* no handler interrupts another */
	syscall(SYS_rt_sigaction, number, &action, NULL, 8);
}

static void change_mask(int how, uint64_t set)
{
	syscall(SYS_rt_sigprocmask, how, &set, NULL, 8);
}

static int has(char **words, const char *word)
{
	for (; *words; words++)
		if (!strcmp(*words, word))
			return 1;
	return 0;
}

static void *second(void *is_blocked)
{
	char byte;

	change_mask(SIG_BLOCK, BIT(marker) | (is_blocked ? BIT(signum) : 0));
	pthread_barrier_wait(&set_up);
	for (;;)
		if (read(ping[0], &byte, 1) == 1 && write(pong[1], &byte, 1) != 1)
			_exit(3);
	return NULL;
}

static void begin_second(int is_blocked)
{
	pthread_t thread;

	if (pipe(ping) < 0 || pipe(pong) < 0)
		_exit(3);
	pthread_barrier_init(&set_up, NULL, 2);
	pthread_create(&thread, NULL, second, is_blocked ? ping : NULL);
	pthread_barrier_wait(&set_up);
}

/* Print the marker once everything before it was handled, by the second thread as well: when a
 * system call returns, its thread has got all pending signals.
 */
static void wait_for_marks(void)
{
	char byte;

	for (;;) {
		if (read(marks[0], &byte, 1) != 1)
			continue;
		if (ping[1] && (write(ping[1], &byte, 1) != 1 || read(pong[0], &byte, 1) != 1))
			_exit(3);
		tell("got", marker);
	}
}

static void take(uint64_t set)
{
	const struct timespec now = {0, 0};
	int got;

	for (;;) {
		got = syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 8);
		if (got == signum) {
			tell("took", signum);
		} else if (got == marker) {
			set &= ~BIT(marker);
			if (syscall(SYS_rt_sigtimedwait, &set, NULL, &now, 8) == signum)
				tell("took", signum);
			tell("got", marker);
		}
	}
}

static void *last(void *words)
{
	uint64_t set = BIT(signum) | BIT(marker);
	int is_awaited = has(words, "awaited");

	change_mask(SIG_UNBLOCK, set);
	if (is_awaited || has(words, "blocked-thread"))
		change_mask(SIG_BLOCK, is_awaited ? set : BIT(signum));
	while (first_lives)
		syscall(SYS_futex, &first_lives, FUTEX_WAIT, 1, NULL, NULL, 0);
	tell("ready", -1);
	if (is_awaited)
		take(set);
	wait_for_marks();
	return NULL;
}

/* The first thread ends by a bare system call, because pthread_exit(3) may change its mask. Then
 * pthread_join(3) may not notice it (glibc 2.43), but the kernel does, and wakes a waiting thread.
 */
static void begin_last(char **words)
{
	pthread_t thread;

	first_lives = 1;
	syscall(SYS_set_tid_address, &first_lives);
	pthread_create(&thread, NULL, last, words);
}

static void be_subject(char **words)
{
	uint64_t set = BIT(signum) | BIT(marker);

	if (pipe(marks) < 0)
		_exit(3);
	if (has(words, "ended"))
		begin_last(words);
	else if (has(words, "thread") || has(words, "blocked-thread"))
		begin_second(has(words, "blocked-thread"));
	dispose(marker, mark);
	dispose(signum, has(words, "ignored") ? SIG_IGN : has(words, "caught") ? handler : SIG_DFL);
	if (has(words, "blocked"))
		change_mask(SIG_BLOCK, BIT(signum));
	if (has(words, "ended"))
		syscall(SYS_exit, 0);
	if (has(words, "awaited"))
		change_mask(SIG_BLOCK, set); /* sigwait(3) needs them blocked */
	tell("ready", -1);
	if (has(words, "awaited"))
		take(set);
	wait_for_marks();
}

static void be_sender(pid_t subject)
{
	char line[8];

	if (read(0, line, sizeof line) > 0) {
		kill(subject, signum);
		tell("sent", -1);
	}
	for (;;)
		pause();
}

static void watch(pid_t subject)
{
	int status;

	while (waitpid(subject, &status, WUNTRACED | WCONTINUED) == subject) {
		if (WIFSTOPPED(status))
			tell("stopped", WSTOPSIG(status));
		else if (WIFCONTINUED(status))
			tell("continued", -1);
		else if (WIFSIGNALED(status))
			tell("killed", WTERMSIG(status));
		else
			tell("exited", WEXITSTATUS(status));
	}
}

static void be_init(const char *place, char **words)
{
	pid_t subject = 1;

	setsid(); /* otherwise it is unknown if the tests run in a namespace themselves */
	if (strcmp(place, "init")) {
		subject = fork();
		if (!subject) {
			if (strcmp(place, "alone"))
				setpgid(0, 0);
			else
				setsid();
			be_subject(words);
		}
	}
	if (!fork())
		be_sender(subject);
	if (!strcmp(place, "init"))
		be_subject(words);
	watch(subject);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const struct rlimit no_core = {0, 0};
	pid_t init;

	if (argc < 3)
		return 2;
	signum = atoi(argv[2]);
	marker = signum == 64 ? 63 : 64;
	setrlimit(RLIMIT_CORE, &no_core);
	if (unshare(CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0)) < 0)
		return 2;
	init = fork();
	if (!init)
		be_init(argv[1], argv + 3);
	tell("init", init);
	if (!strcmp(argv[1], "init"))
		watch(init);
	return waitpid(init, NULL, 0) < 0;
}
