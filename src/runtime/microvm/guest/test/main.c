/* The agent without a VM around it, for tests: it serves a connection to a socket, in whatever namespaces it is started. */
#include "agent.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct place place;

int main(int count, char **arguments)
{
	if (count != 4)
		return 2;
	place.pci = arguments[2];
	place.cgroup = arguments[3];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strncpy(address.sun_path, arguments[1], sizeof address.sun_path - 1);
	int port = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(port, (struct sockaddr *)&address, sizeof address) != 0 || mount("tmpfs", "/run", "tmpfs", 0, NULL) != 0)
		return 1;
	/* Its own layers' places, beside no other test's. */
	mkdir(RUN_DIRECTORY, 0755);
	serve(port);
	return 0;
}
