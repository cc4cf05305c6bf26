#include "vm.h"

#include <stdlib.h>

void *allocate(size_t size)
{
	void *memory = malloc(size);
	if (memory == NULL)
		abort();
	return memory;
}
