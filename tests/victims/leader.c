/* End a process from a thread that is not the one it began with, which has ended before:
 * leader exit|kill|abort. The code is 3, the signal SIGKILL or SIGABRT.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *how;

static void *end(void *first)
{
	pthread_join(*(pthread_t *)first, NULL);
	if (!strcmp(how, "exit"))
		_exit(3);
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	abort();
}

int main(int argc, char **argv)
{
	static pthread_t first;
	pthread_t other;

	how = argc > 1 ? argv[1] : "exit";
	first = pthread_self();
	if (pthread_create(&other, NULL, end, &first) != 0)
		return 2;
	pthread_exit(NULL);
}
