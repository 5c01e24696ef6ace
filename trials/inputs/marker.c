/* Tell that it was started, and with which words and environment: each ends with a NUL.
 *
 * Leaves with 7.
 */
#include <stdio.h>

extern char **environ;

int main(int argc, char **argv)
{
	printf("started %d", argc);
	putchar(0);
	for (; *argv; argv++) {
		fputs(*argv, stdout);
		putchar(0);
	}
	for (char **entry = environ; *entry; entry++) {
		fputs(*entry, stdout);
		putchar(0);
	}
	return 7;
}
