#include "vm.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	/* Nothing of whoever started us, in QEMU least of all. */
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
	if (argc == 3 && strcmp(argv[1], "run") == 0)
		return run(argv[2]);
	if (argc == 4 && strcmp(argv[1], "exec") == 0)
		return exec(argv[2], argv[3]);
	if (argc == 2 && strcmp(argv[1], "tsc") == 0)
		return tsc();
	fputs("usage: hull-vm run FILE\n       hull-vm exec FILE SOCKET\n       hull-vm tsc\n", stderr);
	return 2;
}
