#include "monitor.h"

#include <stdio.h>
#include <string.h>

void format_time(char text[TIME_SIZE], const struct timespec *at)
{
	static time_t second = -1;
	static char whole[sizeof "2006-01-02T15:04:05"];
	if (at->tv_sec != second) {
		struct tm parts;
		gmtime_r(&at->tv_sec, &parts);
		strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &parts);
		second = at->tv_sec;
	}
	int length = snprintf(text, TIME_SIZE, at->tv_nsec == 0 ? "%s" : "%s.%09ld", whole, at->tv_nsec);
	if (at->tv_nsec != 0)
		while (text[length - 1] == '0')
			length--;
	strcpy(text + length, "Z");
}
