#include "agent.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What the processes have written is on the disk, for who starts from the disk alone. */
void suspend(const struct records *body)
{
	(void)body;
	if (!freeze(true)) {
		int error = errno;
		freeze(false);
		fail(error, "the processes do not freeze: %s", strerror(error));
	}
	sync();
}

void resume(const struct records *body)
{
	set_clock(body);
	if (!freeze(false))
		fail(errno, "the processes do not run again: %s", strerror(errno));
}
