/* Make orphans as fast as one core can: orphans COUNT. Each exits with the code (its number % 256).
 *
 * A hundred at a time are forked by a parent that exits at once. "gone" is printed when the last
 * one has exited, seen by the end of a pipe that they all hold; then SIGTERM makes it exit 0.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1000;
	cpu_set_t one;
	sigset_t end;
	int got, held[2];
	char nothing;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof one, &one);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	if (pipe(held) < 0)
		return 2;
	for (int made = 0; made < count; made += 100) {
		pid_t parent = fork();
		if (parent == 0) {
			for (int i = made; i < made + 100 && i < count; i++)
				if (fork() == 0)
					_exit(i % 256);
			_exit(0);
		}
		if (parent < 0 || waitpid(parent, NULL, 0) < 0)
			return 2;
	}
	close(held[1]);
	if (read(held[0], &nothing, 1) != 0)
		return 2;
	printf("gone\n");
	fflush(stdout);
	sigwait(&end, &got);
	return 0;
}
