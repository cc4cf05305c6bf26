#include "monitor.h"

#include <sys/wait.h>
#include <unistd.h>

static pid_t compressor = -1;

/* gzip replaces the file with one that ends in .gz, once that is whole. Where there is none the file stays as it is. */
void compress_start(char *path)
{
	static const int ends[3] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	char *arguments[] = { "gzip", "-f", path, NULL };
	compressor = spawn_program(arguments, ends);
}

bool compress_busy(void)
{
	if (compressor > 0 && waitpid(compressor, NULL, WNOHANG) != 0)
		compressor = -1;
	return compressor > 0;
}

bool compress_child_ended(pid_t pid)
{
	if (pid != compressor)
		return false;
	compressor = -1;
	return true;
}
