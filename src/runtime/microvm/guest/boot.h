#ifndef HULL_BOOT_H
#define HULL_BOOT_H

/* Makes of what the kernel started a system that can serve. What fails is said on the console. */
void boot_prepare(void);

/* The port to the host, open; -1 when there is none. */
int boot_port(void);

#endif
