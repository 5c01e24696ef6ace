/* Run an init as PID 1 of a namespace of its own, once, and take the time from outside.
 *
 * Each usage prints the words in capitals. All times are in nanoseconds.
 *
 * Usage: outside start INIT...          FIRST GONE: from the exec of the init to the workload's
 *                                       first instruction (-1 if there is no workload), and to the
 *                                       end of the init
 *        outside blind DELAY INIT...    LATE LOST: SIGTERM is sent DELAY after the exec, and LATE
 *                                       more; LOST is 1 if the workload never got it
 *        outside forward COUNT INIT...  PROCESSORS FORWARD...: how many processors the init and its
 *                                       workload may use (1), and from kill to the workload's
 *                                       answer, COUNT times
 *        outside stop INIT...           FINISHED AFTER: how many helpers finished their work, and
 *                                       from the last one to the end of the init
 *        outside log INIT...            FIRST LINE FORWARD...: from the exec to the workload's first
 *                                       instruction and to the first line on stderr, and the times
 *                                       of the forwards in between
 *
 * The user must be allowed to make PID namespaces. If this is killed, the init is killed, too.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum { LOST_CODE = 128 + SIGPWR, PAUSE_BETWEEN_FORWARDS_MS = 5 };

static pid_t init;
static int from_init, errors_of_init, to_init;
static int stat_of_init, stat_of_workload;
static volatile long long *exec_at; /* shared with the process that becomes the init */

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void become_init(char **command, int in, int out, int err)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		fail("outside: mount");
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || (err >= 0 && dup2(err, 2) < 0))
		fail("outside: dup2");
	*exec_at = now();
	execv(command[0], command);
	fail(command[0]);
}

static void begin(char **command, int with_errors)
{
	int in[2], out[2], err[2] = {-1, -1};

	exec_at = mmap(NULL, sizeof *exec_at, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (exec_at == MAP_FAILED || pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 ||
	    (with_errors && pipe2(err, O_CLOEXEC) != 0) || unshare(CLONE_NEWPID) != 0)
		fail("outside: unshare");
	if ((init = fork()) < 0)
		fail("outside: fork");
	if (init == 0)
		become_init(command, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	if (with_errors)
		close(err[1]);
	to_init = in[1];
	from_init = out[0];
	errors_of_init = err[0];
}

/* Return the time that a process of the workload wrote; 0 if none is left that could write. */
static long long hear(void)
{
	long long time;

	return read(from_init, &time, sizeof time) == sizeof time ? time : 0;
}

static long long hear_or_fail(void)
{
	long long time = hear();

	if (time == 0) {
		fputs("outside: the workload wrote nothing\n", stderr);
		exit(1);
	}
	return time;
}

/* Wait for the end of the init; return its exit code. */
static int code_of_init(void)
{
	int status;

	if (waitpid(init, &status, 0) != init)
		fail("outside: waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void expect_success(int code)
{
	if (code == 0)
		return;
	fprintf(stderr, "outside: the init exited with code %d\n", code);
	exit(1);
}

static int open_stat(pid_t pid)
{
	char path[32];
	int stat;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	if ((stat = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		fail(path);
	return stat;
}

/* Return the pid of the init's only child. */
static pid_t find_workload(void)
{
	char path[64];
	pid_t child, other;
	FILE *children;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", init, init);
	if ((children = fopen(path, "re")) == NULL)
		fail(path);
	if (fscanf(children, "%d %d", &child, &other) != 1) {
		fputs("outside: the init does not have one child\n", stderr);
		exit(1);
	}
	fclose(children);
	return child;
}

/* Wait until the workload writes; return its pid. */
static pid_t meet_workload(long long *first)
{
	pid_t workload;

	*first = hear_or_fail();
	workload = find_workload();
	stat_of_init = open_stat(init);
	stat_of_workload = open_stat(workload);
	return workload;
}

static int sleeps(int stat)
{
	char text[512];
	ssize_t size = pread(stat, text, sizeof text - 1, 0);

	if (size <= 0)
		fail("outside: the init or its workload has gone");
	text[size] = '\0';
	return strrchr(text, ')')[2] == 'S';
}

/* Wait until the init and its workload sleep, because then they have nothing left to do. Yield
 * meanwhile: they may need this processor. */
static void settle(void)
{
	while (!sleeps(stat_of_init) || !sleeps(stat_of_workload))
		sched_yield();
}

static long long forward_one(void)
{
	long long sent;

	settle();
	sent = now();
	kill(init, SIGUSR1);
	return hear_or_fail() - sent;
}

static void measure_start(void)
{
	long long first = hear();
	int code = code_of_init();
	long long gone = now();

	expect_success(code);
	printf("%lld %lld\n", first != 0 ? first - *exec_at : -1, gone - *exec_at);
}

static long long send_after(long long delay)
{
	struct timespec when;
	long long due;

	prctl(PR_SET_TIMERSLACK, 1);
	while (*exec_at == 0)
		;
	due = *exec_at + delay;
	when.tv_sec = due / 1000000000;
	when.tv_nsec = due % 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
	kill(init, SIGTERM);
	return now() - due;
}

/* If the workload lost SIGTERM, SIGPWR kills it. SIGPWR is sent later and has the higher number, so
 * an init that forwards both never forwards it first. */
static void measure_blind(long long delay)
{
	long long late = send_after(delay);
	int code;

	if (hear() != 0)
		kill(init, SIGPWR);
	code = code_of_init();
	if (code != LOST_CODE && code != 128 + SIGTERM)
		expect_success(code != 0 ? code : -1);
	printf("%lld %d\n", late, code == LOST_CODE);
}

/* Run everything from here on one processor. If the next process runs on another one, that has to
 * be woken up, and in a virtual machine this takes sometimes little and sometimes much time, under
 * any init. It is the last processor, because the first one handles more interrupts. */
static void pin(void)
{
	cpu_set_t set;
	int last = CPU_SETSIZE - 1;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		fail("outside: sched_getaffinity");
	while (!CPU_ISSET(last, &set))
		last--;
	CPU_ZERO(&set);
	CPU_SET(last, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		fail("outside: sched_setaffinity");
}

static int processors_of(pid_t one, pid_t other)
{
	cpu_set_t set, further;

	if (sched_getaffinity(one, sizeof set, &set) != 0 ||
	    sched_getaffinity(other, sizeof further, &further) != 0)
		fail("outside: sched_getaffinity");
	CPU_OR(&set, &set, &further);
	return CPU_COUNT(&set);
}

static void measure_forward(int count)
{
	long long first;

	printf("%d\n", processors_of(meet_workload(&first), init));
	for (int i = 0; i < count; i++)
		printf("%lld\n", forward_one());
}

static void measure_stop(void)
{
	long long told, last = 0, gone;
	int finished = 0;

	hear_or_fail();
	kill(init, SIGTERM);
	while ((told = hear()) != 0) {
		finished++;
		last = told > last ? told : last;
	}
	code_of_init();
	gone = now();
	printf("%d %lld\n", finished, finished > 0 ? gone - last : -1);
}

static int line_came_within(int milliseconds)
{
	struct pollfd line = {.fd = errors_of_init, .events = POLLIN};

	return poll(&line, 1, milliseconds) > 0;
}

static void measure_log(void)
{
	static long long forwards[10000];
	long long first;
	int count = 0;

	meet_workload(&first);
	while (count < 10000 && !line_came_within(PAUSE_BETWEEN_FORWARDS_MS))
		forwards[count++] = forward_one();
	printf("%lld %lld", first - *exec_at, now() - *exec_at);
	for (int i = 0; i < count; i++)
		printf(" %lld", forwards[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int has_number = strcmp(what, "blind") == 0 || strcmp(what, "forward") == 0;
	long long number = has_number ? atoll(argv[2]) : 0;

	if (strcmp(what, "forward") == 0)
		pin();
	begin(argv + (has_number ? 3 : 2), strcmp(what, "log") == 0);
	if (strcmp(what, "start") == 0)
		measure_start();
	else if (strcmp(what, "blind") == 0)
		measure_blind(number);
	else if (strcmp(what, "forward") == 0)
		measure_forward(number);
	else if (strcmp(what, "stop") == 0)
		measure_stop();
	else
		measure_log();
	return 0; /* if the init still runs, the kernel kills it now */
}
