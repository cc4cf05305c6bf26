#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The guest has addresses that are also those of a network namespace outside: 127.0.0.1, and the ones it shares. A connection to such an
 * address at which nobody listens in here is meant for out there, and leaves by the address that stands in for it. Programs at the
 * container's cgroup change the one into the other as sockets are connected, and back where programs ask who the other side is.
 */

enum { STAND_INS_MOST = 64, CODE_MOST = 64 + 8 * STAND_INS_MOST };

/* As they are in packets. */
struct stand_in {
	uint32_t mask, inside, outside;
};

struct code {
	struct bpf_insn instructions[CODE_MOST];
	size_t length;
};

static void emit(struct code *code, uint8_t operation, uint8_t to, uint8_t from, int16_t offset, int32_t value)
{
	if (code->length == CODE_MOST)
		fail(E2BIG, "too many stand-ins");
	code->instructions[code->length++] = (struct bpf_insn){
		.code = operation, .dst_reg = to & 0xfU, .src_reg = from & 0xfU, .off = offset, .imm = value,
	};
}

static void copy(struct code *code, uint8_t to, uint8_t from)
{
	emit(code, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

static void set(struct code *code, uint8_t to, int32_t value)
{
	emit(code, BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}

static void load(struct code *code, uint8_t to, size_t field)
{
	emit(code, BPF_LDX | BPF_MEM | BPF_W, to, BPF_REG_6, (int16_t)field, 0);
}

/* A jump whose target is set by land(). */
static size_t jump_if(struct code *code, uint8_t condition, uint8_t compared, uint32_t value)
{
	emit(code, condition | BPF_K, compared, 0, 0, (int32_t)value);
	return code->length - 1;
}

static size_t jump(struct code *code)
{
	emit(code, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	return code->length - 1;
}

static void land(struct code *code, size_t from)
{
	code->instructions[from].off = (int16_t)(code->length - from - 1);
}

static void let_pass(struct code *code)
{
	set(code, BPF_REG_0, 1);
	emit(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* In register 0 the socket that has the address in register 7 in here, or 0. */
static void look_up(struct code *code, int function)
{
	copy(code, BPF_REG_1, BPF_REG_6);
	copy(code, BPF_REG_2, BPF_REG_10);
	emit(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -12);
	set(code, BPF_REG_3, 12);
	set(code, BPF_REG_4, BPF_F_CURRENT_NETNS);
	set(code, BPF_REG_5, 0);
	emit(code, BPF_JMP | BPF_CALL, 0, 0, 0, function);
}

/* Lets the call pass as it is when somebody in here has the address. */
static void unless_there(struct code *code)
{
	/* The stack has the tuple of struct bpf_sock_tuple: addresses of source and destination, ports of the two. */
	emit(code, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -12, 0);
	emit(code, BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_7, -8, 0);
	load(code, BPF_REG_1, offsetof(struct bpf_sock_addr, user_port));
	emit(code, BPF_ST | BPF_MEM | BPF_H, BPF_REG_10, 0, -4, 0);
	emit(code, BPF_STX | BPF_MEM | BPF_H, BPF_REG_10, BPF_REG_1, -2, 0);
	load(code, BPF_REG_9, offsetof(struct bpf_sock_addr, protocol));
	size_t not_tcp = jump_if(code, BPF_JMP32 | BPF_JNE, BPF_REG_9, IPPROTO_TCP);
	look_up(code, BPF_FUNC_sk_lookup_tcp);
	size_t looked = jump(code);
	land(code, not_tcp);
	size_t udp = jump_if(code, BPF_JMP32 | BPF_JEQ, BPF_REG_9, IPPROTO_UDP);
	let_pass(code);
	land(code, udp);
	look_up(code, BPF_FUNC_sk_lookup_udp);
	land(code, looked);
	size_t absent = jump_if(code, BPF_JMP | BPF_JEQ, BPF_REG_0, 0);
	copy(code, BPF_REG_1, BPF_REG_0);
	emit(code, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_release);
	let_pass(code);
	land(code, absent);
}

/* In a socket of IPv6 only addresses of IPv4 are meant: ::ffff:0:0/96. */
static void only_mapped(struct code *code)
{
	const uint32_t words[] = { 0, 0, htonl(0xffff) };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		load(code, BPF_REG_1, offsetof(struct bpf_sock_addr, user_ip6) + 4 * i);
		size_t same = jump_if(code, BPF_JMP32 | BPF_JEQ, BPF_REG_1, words[i]);
		let_pass(code);
		land(code, same);
	}
}

static void generate(struct code *code, const struct stand_in *all, size_t count, bool out, bool is_ipv6)
{
	size_t field = is_ipv6 ? offsetof(struct bpf_sock_addr, user_ip6) + 12 : offsetof(struct bpf_sock_addr, user_ip4);
	size_t found[STAND_INS_MOST];
	code->length = 0;
	copy(code, BPF_REG_6, BPF_REG_1);
	if (is_ipv6)
		only_mapped(code);
	load(code, BPF_REG_7, field);
	for (size_t i = 0; i < count; i++) {
		copy(code, BPF_REG_8, BPF_REG_7);
		emit(code, BPF_ALU | BPF_AND | BPF_K, BPF_REG_8, 0, 0, (int32_t)all[i].mask);
		size_t other = jump_if(code, BPF_JMP32 | BPF_JNE, BPF_REG_8, out ? all[i].inside : all[i].outside);
		copy(code, BPF_REG_8, BPF_REG_7);
		emit(code, BPF_ALU | BPF_AND | BPF_K, BPF_REG_8, 0, 0, (int32_t)~all[i].mask);
		emit(code, BPF_ALU | BPF_OR | BPF_K, BPF_REG_8, 0, 0, (int32_t)(out ? all[i].outside : all[i].inside));
		found[i] = jump(code);
		land(code, other);
	}
	let_pass(code);
	for (size_t i = 0; i < count; i++)
		land(code, found[i]);
	if (out)
		unless_there(code);
	emit(code, BPF_STX | BPF_MEM | BPF_W, BPF_REG_6, BPF_REG_8, (int16_t)field, 0);
	let_pass(code);
}

static int bpf(enum bpf_cmd command, const union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static void attach(int cgroup, const struct code *code, enum bpf_attach_type hook)
{
	union bpf_attr program = {
		.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
		.expected_attach_type = hook,
		.insns = (uintptr_t)code->instructions,
		.insn_cnt = (uint32_t)code->length,
		.license = (uintptr_t) "GPL",
	};
	int fd = bpf(BPF_PROG_LOAD, &program);
	if (fd < 0)
		fail(errno, "cannot load a program for addresses outside: %s", strerror(errno));
	union bpf_attr attachment = {
		.target_fd = (uint32_t)cgroup,
		.attach_bpf_fd = (uint32_t)fd,
		.attach_type = hook,
		.attach_flags = BPF_F_ALLOW_MULTI,
	};
	if (bpf(BPF_PROG_ATTACH, &attachment) != 0)
		fail(errno, "cannot attach a program for addresses outside: %s", strerror(errno));
	close(fd);
}

static struct stand_in read_stand_in(const struct record *record)
{
	const char *texts[2];
	uint8_t inside[16], outside[16], family, other, prefix, bits;
	struct stand_in stand_in;
	record_texts(record, texts, 2);
	if (!parse_address(texts[0], &family, inside, &prefix) || !parse_address(texts[1], &other, outside, &bits) || family != AF_INET ||
	    other != AF_INET || prefix == 0)
		fail(EINVAL, "`%s` cannot stand in for `%s`", texts[1], texts[0]);
	memcpy(&stand_in.inside, inside, sizeof stand_in.inside);
	memcpy(&stand_in.outside, outside, sizeof stand_in.outside);
	stand_in.mask = htonl(0xffffffffU << (32 - prefix));
	return stand_in;
}

void configure_stand_ins(const struct records *body)
{
	static const struct {
		enum bpf_attach_type hook;
		bool out, is_ipv6;
	} hooks[] = {
		{ BPF_CGROUP_INET4_CONNECT, true, false },      { BPF_CGROUP_INET6_CONNECT, true, true },
		{ BPF_CGROUP_UDP4_SENDMSG, true, false },       { BPF_CGROUP_UDP4_RECVMSG, false, false },
		{ BPF_CGROUP_UDP6_RECVMSG, false, true },       { BPF_CGROUP_INET4_GETPEERNAME, false, false },
		{ BPF_CGROUP_INET6_GETPEERNAME, false, true },
	};
	static struct stand_in all[STAND_INS_MOST];
	static struct code code;
	size_t count = 0;
	struct record record;
	for (size_t at = 0; record_find(body, &at, TAG_STAND_IN, &record);) {
		if (count == STAND_INS_MOST)
			fail(E2BIG, "too many stand-ins");
		all[count++] = read_stand_in(&record);
	}
	if (count == 0)
		return;
	char path[256];
	snprintf(path, sizeof path, "%s/container", place.cgroup);
	int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		fail(errno, "cannot open `%s`: %s", path, strerror(errno));
	for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
		generate(&code, all, count, hooks[i].out, hooks[i].is_ipv6);
		attach(cgroup, &code, hooks[i].hook);
	}
	close(cgroup);
	/* What is asked at the other side's 127.0.0.1 comes in by an interface. */
	if (write_file_text("/proc/sys/net/ipv4/conf/all/route_localnet", "1") != 0)
		fail(errno, "cannot let packets to loopback in: %s", strerror(errno));
}

void share(const struct records *body)
{
	configure_stand_ins(body);
	answer(NULL, 0);
}
