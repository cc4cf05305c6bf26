#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int netlink = -1;

struct message {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
		char space[512];
	} body;
};

static void begin(struct message *message, uint16_t type, uint16_t flags, size_t body)
{
	*message = (struct message){ .header = { (uint32_t)NLMSG_LENGTH(body), type, (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags), 1, 0 } };
}

static void add(struct message *message, uint16_t type, const void *data, size_t length)
{
	struct rtattr *attribute = (struct rtattr *)((char *)message + NLMSG_ALIGN(message->header.nlmsg_len));
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(length);
	memcpy(RTA_DATA(attribute), data, length);
	message->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(message->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

/* 0, or the errno with which the kernel answered. */
static int ask(const struct message *message)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[2048];
	} reply;
	if (send(netlink, message, message->header.nlmsg_len, 0) < 0 || recv(netlink, &reply, sizeof reply, 0) < (ssize_t)sizeof reply.header)
		return errno;
	return reply.header.nlmsg_type == NLMSG_ERROR ? -reply.error.error : EIO;
}

static int index_of(const char *name)
{
	unsigned index = if_nametoindex(name);
	if (index == 0)
		fail(errno, "no interface `%s`", name);
	return (int)index;
}

static void set_link(int index, const char *name, uint32_t mtu, bool up)
{
	struct message message;
	begin(&message, RTM_NEWLINK, 0, sizeof message.body.link);
	message.body.link.ifi_index = index;
	if (up)
		message.body.link.ifi_flags = message.body.link.ifi_change = IFF_UP;
	if (name != NULL)
		add(&message, IFLA_IFNAME, name, strlen(name) + 1);
	if (mtu != 0)
		add(&message, IFLA_MTU, &mtu, sizeof mtu);
	int error = ask(&message);
	if (error != 0)
		fail(error, "cannot set up interface `%s`: %s", name != NULL ? name : "lo", strerror(error));
}

bool parse_address(const char *text, uint8_t *family, uint8_t bytes[16], uint8_t *prefix)
{
	char host[64];
	size_t length = strcspn(text, "/");
	if (length >= sizeof host)
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	*family = strchr(host, ':') == NULL ? AF_INET : AF_INET6;
	unsigned long bits = text[length] == '/' ? strtoul(text + length + 1, NULL, 10) : *family == AF_INET ? 32 : 128;
	*prefix = (uint8_t)bits;
	return inet_pton(*family, host, bytes) == 1 && bits <= (*family == AF_INET ? 32 : 128);
}

static void add_address(int index, const char *text)
{
	struct message message;
	uint8_t bytes[16], family, prefix;
	/* Nobody else has it: the host gave it. */
	uint32_t flags = IFA_F_NODAD | IFA_F_PERMANENT;
	if (!parse_address(text, &family, bytes, &prefix))
		fail(EINVAL, "`%s` is no address", text);
	size_t length = family == AF_INET ? 4 : 16;
	begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof message.body.address);
	message.body.address = (struct ifaddrmsg){ .ifa_family = family, .ifa_prefixlen = prefix, .ifa_index = (uint32_t)index };
	add(&message, IFA_LOCAL, bytes, length);
	add(&message, IFA_ADDRESS, bytes, length);
	add(&message, IFA_FLAGS, &flags, sizeof flags);
	if (family == AF_INET && prefix < 31) {
		uint32_t broadcast;
		memcpy(&broadcast, bytes, sizeof broadcast);
		broadcast |= htonl(0xffffffffU >> prefix);
		add(&message, IFA_BROADCAST, &broadcast, sizeof broadcast);
	}
	int error = ask(&message);
	if (error != 0)
		fail(error, "cannot add the address %s: %s", text, strerror(error));
}

static void add_route(const char *destination, const char *gateway, const char *interface)
{
	struct message message;
	uint8_t bytes[16], family, prefix, via[16], via_family, ignored;
	int index = index_of(interface);
	if (!parse_address(destination, &family, bytes, &prefix) ||
	    (gateway[0] != '\0' && (!parse_address(gateway, &via_family, via, &ignored) || via_family != family)))
		fail(EINVAL, "`%s` by `%s` is no route", destination, gateway);
	size_t length = family == AF_INET ? 4 : 16;
	begin(&message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof message.body.route);
	message.body.route = (struct rtmsg){
		.rtm_family = family,
		.rtm_dst_len = prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = gateway[0] != '\0' || family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST,
	};
	if (prefix > 0)
		add(&message, RTA_DST, bytes, length);
	if (gateway[0] != '\0')
		add(&message, RTA_GATEWAY, via, length);
	add(&message, RTA_OIF, &index, sizeof index);
	int error = ask(&message);
	if (error != 0)
		fail(error, "cannot add the route to %s: %s", destination, strerror(error));
}

/* IPv6 addresses go by themselves when an interface goes down. */
static void remove_address(const struct ifaddrs *entry)
{
	struct message message;
	uint32_t address, mask;
	memcpy(&address, &((const struct sockaddr_in *)entry->ifa_addr)->sin_addr, sizeof address);
	memcpy(&mask, &((const struct sockaddr_in *)entry->ifa_netmask)->sin_addr, sizeof mask);
	begin(&message, RTM_DELADDR, 0, sizeof message.body.address);
	message.body.address = (struct ifaddrmsg){ .ifa_family = AF_INET,
						   .ifa_prefixlen = (uint8_t)__builtin_popcount(mask),
						   .ifa_index = (uint32_t)index_of(entry->ifa_name) };
	add(&message, IFA_LOCAL, &address, sizeof address);
	int error = ask(&message);
	/* The last of a network takes its secondary ones along. */
	if (error != 0 && error != EADDRNOTAVAIL)
		fail(error, "cannot remove an address of `%s`: %s", entry->ifa_name, strerror(error));
}

static void take_down(int index)
{
	struct message message;
	begin(&message, RTM_NEWLINK, 0, sizeof message.body.link);
	message.body.link.ifi_index = index;
	message.body.link.ifi_change = IFF_UP;
	int error = ask(&message);
	if (error != 0)
		fail(error, "cannot take an interface down: %s", strerror(error));
}

/* Whether the host gave it; the container may have made others. */
static bool is_device(const char *name)
{
	char path[64];
	snprintf(path, sizeof path, "/sys/class/net/%s/device", name);
	return access(path, F_OK) == 0;
}

/* The host's interfaces are down and without addresses. */
static void clear(void)
{
	struct ifaddrs *addresses;
	struct if_nameindex *names = if_nameindex();
	if (names == NULL || getifaddrs(&addresses) != 0)
		fail(errno, "cannot list the interfaces: %s", strerror(errno));
	for (const struct ifaddrs *entry = addresses; entry != NULL; entry = entry->ifa_next)
		if (entry->ifa_addr != NULL && entry->ifa_addr->sa_family == AF_INET && is_device(entry->ifa_name))
			remove_address(entry);
	for (const struct if_nameindex *entry = names; entry->if_index != 0; entry++)
		if (is_device(entry->if_name))
			take_down((int)entry->if_index);
	freeifaddrs(addresses);
	if_freenameindex(names);
}

static void set_hardware_address(int index, const char *text)
{
	struct message message;
	uint8_t bytes[6];
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5]) != 6)
		fail(EINVAL, "`%s` is no hardware address", text);
	begin(&message, RTM_NEWLINK, 0, sizeof message.body.link);
	message.body.link.ifi_index = index;
	add(&message, IFLA_ADDRESS, bytes, sizeof bytes);
	int error = ask(&message);
	if (error != 0)
		fail(error, "cannot set the hardware address %s: %s", text, strerror(error));
}

static void set_hardware_addresses(const struct records *body)
{
	struct record record;
	for (size_t at = 0; record_find(body, &at, TAG_HARDWARE, &record);) {
		const char *texts[2];
		record_texts(&record, texts, 2);
		char *found = device_interface(texts[0]);
		set_hardware_address(index_of(found), texts[1]);
		free(found);
	}
}

static void set_up_interface(const struct record *record)
{
	size_t count = record_texts(record, NULL, 0);
	const char **texts = need(calloc(count, sizeof *texts));
	record_texts(record, texts, count);
	char *found = device_interface(texts[0]);
	int index = index_of(found);
	/* Renamed while it is down. */
	set_link(index, texts[1], (uint32_t)strtoul(texts[2], NULL, 10), false);
	for (size_t i = 3; i < count; i++)
		add_address(index, texts[i]);
	set_link(index, texts[1], 0, true);
	free(found);
	free(texts);
}

static void open_netlink(void)
{
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (netlink < 0)
		fail(errno, "cannot open a netlink socket: %s", strerror(errno));
}

static void set_up(const struct records *body)
{
	struct record record;
	set_link(index_of("lo"), NULL, 0, true);
	for (size_t at = 0; record_find(body, &at, TAG_INTERFACE, &record);)
		set_up_interface(&record);
	for (size_t at = 0; record_find(body, &at, TAG_ROUTE, &record);) {
		const char *texts[3];
		record_texts(&record, texts, 3);
		add_route(texts[0], texts[1], texts[2]);
	}
}

void configure_network(const struct records *body)
{
	open_netlink();
	set_up(body);
	close(netlink);
}

void configure_network_anew(const struct records *body)
{
	open_netlink();
	clear();
	set_hardware_addresses(body);
	set_up(body);
	close(netlink);
}
