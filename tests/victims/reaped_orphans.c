/* Make orphans of PID 1 and exit when it has reaped the last of them: reaped_orphans COUNT.
 *
 * Only its parent can notice that a zombie is reaped, with one exception: PID 1 of a PID namespace
 * cannot end before every process of that namespace has been reaped, by any process
 * (zap_pid_ns_processes() in the kernel). So the orphans live in a namespace of their own:
 *
 *   PID 1            adopts the orphans, as their parent was a process of its own namespace
 *   +- this program  waits for last
 *      +- last       PID 1 of the inner namespace; ends after the last orphan
 *      +- parent     has its children, the orphans, in the inner namespace, and exits before them
 *
 * An orphan exits with its number % 256. If they are not reaped in time, SIGALRM kills the program.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned SECONDS = 30;

static int namespace(const char *link)
{
	int opened = open(link, O_RDONLY | O_CLOEXEC);

	if (opened < 0)
		err(2, "%s", link);
	return opened;
}

static void fork_next_into(int pid_namespace)
{
	if (setns(pid_namespace, CLONE_NEWPID) < 0)
		err(2, "setns");
}

static pid_t fork_or_fail(void)
{
	pid_t pid = fork();

	if (pid < 0)
		err(2, "fork");
	return pid;
}

/* Exit when no process holds the other end of the pipe any more. */
static void be_last(const int held[2])
{
	char nothing;

	close(held[1]);
	_exit(read(held[0], &nothing, 1) == 0 ? 0 : 2);
}

static void be_parent(int inner, int count)
{
	fork_next_into(inner);
	for (int number = 0; number < count; number++)
		if (fork_or_fail() == 0)
			_exit(number % 256);
	_exit(0);
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0 || status != 0)
		errx(2, "a process failed with status %#x", status);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 200;
	int outer = namespace("/proc/self/ns/pid");
	pid_t last, parent;
	int held[2];

	alarm(SECONDS);
	if (pipe(held) < 0 || unshare(CLONE_NEWPID) < 0)
		err(2, "pipe or unshare");
	last = fork_or_fail();
	if (last == 0)
		be_last(held);
	int inner = namespace("/proc/self/ns/pid_for_children");
	fork_next_into(outer);
	parent = fork_or_fail();
	if (parent == 0)
		be_parent(inner, count);
	close(held[1]);
	wait_for(parent);
	wait_for(last);
	return 0;
}
