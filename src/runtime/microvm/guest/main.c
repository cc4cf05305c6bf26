#include "agent.h"
#include "boot.h"

#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>

struct place place = { .pci = "/sys/bus/pci/devices", .cgroup = "/sys/fs/cgroup" };

int main(void)
{
	boot_prepare();
	int port = boot_port();
	if (port >= 0)
		serve(port);
	fprintf(stderr, "hull-agent: powering off\n");
	sync();
	/* Where nothing can power a machine off, QEMU takes a restart for the end. */
	reboot(RB_AUTOBOOT);
	return 1;
}
