#include "vm.h"

#include <string.h>

void tail_add(struct tail *tail, const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		tail->ring[tail->total++ % TAIL_SIZE] = data[i];
}

static bool is_blank(char character)
{
	return character == ' ' || character == '\n' || character == '\r' || character == '\0';
}

void tail_copy(const struct tail *tail, char text[TAIL_SIZE + 1])
{
	size_t length = tail->total < TAIL_SIZE ? tail->total : TAIL_SIZE;
	for (size_t i = 0; i < length; i++) {
		char character = tail->ring[(tail->total - length + i) % TAIL_SIZE];
		text[i] = character == '\0' ? ' ' : character;
	}
	while (length > 0 && is_blank(text[length - 1]))
		length--;
	size_t start = 0;
	while (start < length && is_blank(text[start]))
		start++;
	memmove(text, text + start, length - start);
	text[length - start] = '\0';
}
