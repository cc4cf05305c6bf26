#include "vm.h"

#include <string.h>

void tail_add(struct tail *tail, const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		tail->ring[tail->total++ % TAIL_SIZE] = data[i];
}

static bool is_blank(char character)
{
	return character == ' ' || character == '\n';
}

void tail_copy(const struct tail *tail, char text[TAIL_SIZE + 1])
{
	size_t kept = tail->total < TAIL_SIZE ? tail->total : TAIL_SIZE, length = 0;
	for (size_t i = tail->total - kept; i < tail->total; i++) {
		char character = tail->ring[i % TAIL_SIZE];
		if ((unsigned char)character >= ' ' || character == '\n' || character == '\t')
			text[length++] = character;
	}
	while (length > 0 && is_blank(text[length - 1]))
		length--;
	size_t start = 0;
	while (start < length && is_blank(text[start]))
		start++;
	memmove(text, text + start, length - start);
	text[length - start] = '\0';
}
