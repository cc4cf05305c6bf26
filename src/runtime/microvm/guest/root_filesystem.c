#include "agent.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* fs/ext4/ext4.h: u64, the blocks that there are to be. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)
/* From linux/fs.h, which does not go together with <sys/mount.h>. */
#define BLOCK_GET_SIZE _IOR(0x12, 114, size_t)

/* Short: mount(2) takes a page of options. */
#define LAYERS_PATH RUN_DIRECTORY "/l"
#define INIT_PATH RUN_DIRECTORY "/init"

enum { LAYERS_MOST = 127 };
/* Places of numbers of four bytes in ext4's superblock. */
enum { SUPER_BLOCKS = 0x4 / 4, SUPER_LOG_BLOCK_SIZE = 0x18 / 4, SUPER_BLOCKS_HIGH = 0x150 / 4 };

static void make(const char *path)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		fail(errno, "mkdir `%s`: %s", path, strerror(errno));
}

/* Their number. */
static size_t mount_layers(const struct records *body)
{
	struct record record;
	size_t count = 0;
	make(LAYERS_PATH);
	for (size_t at = 0; record_find(body, &at, TAG_LAYER, &record); count++) {
		char path[32];
		char *address = need(strndup((const char *)record.value, record.length));
		char *disk = device_block(address);
		snprintf(path, sizeof path, LAYERS_PATH "/%zu", count);
		make(path);
		if (mount(disk, path, "erofs", MS_RDONLY | MS_NOATIME, NULL) != 0)
			fail(errno, "cannot mount the layer at %s: %s", address, strerror(errno));
		free(disk);
		free(address);
	}
	if (count > LAYERS_MOST)
		fail(E2BIG, "too many layers");
	return count;
}

static void grow(const char *disk)
{
	uint32_t super[256];
	uint64_t bytes;
	int device = open(disk, O_RDONLY | O_CLOEXEC);
	if (device < 0 || ioctl(device, BLOCK_GET_SIZE, &bytes) != 0 || pread(device, super, sizeof super, 1024) != sizeof super)
		fail(errno, "cannot tell the size of the writable layer's disk: %s", strerror(errno));
	close(device);
	uint64_t blocks = bytes / (1024 << le32toh(super[SUPER_LOG_BLOCK_SIZE]));
	if (blocks <= (le32toh(super[SUPER_BLOCKS]) | (uint64_t)le32toh(super[SUPER_BLOCKS_HIGH]) << 32))
		return;
	int top = open(TOP_PATH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ioctl(top, EXT4_IOC_RESIZE_FS, &blocks) != 0)
		fail(errno, "cannot grow the writable layer: %s", strerror(errno));
	close(top);
}

static void mount_top(const struct records *body)
{
	char *address = record_text(body, TAG_TOP);
	make(TOP_PATH);
	if (address == NULL) {
		if (mount("tmpfs", TOP_PATH, "tmpfs", MS_NOATIME, "mode=755") != 0)
			fail(errno, "cannot mount the writable layer: %s", strerror(errno));
	} else {
		char *disk = device_block(address);
		if (mount(disk, TOP_PATH, "ext4", MS_NOATIME, "discard") != 0)
			fail(errno, "cannot mount the writable layer at %s: %s", address, strerror(errno));
		if (record_has(body, TAG_CAPACITY))
			grow(disk);
		free(disk);
	}
	make(TOP_PATH "/upper");
	make(TOP_PATH "/work");
}

void configure_root(const struct records *body)
{
	struct text options = { 0 };
	size_t layers = mount_layers(body);
	mount_top(body);
	text_format(&options, "lowerdir=");
	init_layer_make(INIT_PATH);
	for (size_t i = layers; i > 0; i--)
		text_format(&options, LAYERS_PATH "/%zu:", i - 1);
	text_format(&options, INIT_PATH);
	/* What is in the upper directory is a layer as anybody reads it. */
	text_format(&options, ",upperdir=%s/upper,workdir=%s/work,index=off,metacopy=off,redirect_dir=off", TOP_PATH, TOP_PATH);
	make(ROOT_PATH);
	if (mount("overlay", ROOT_PATH, "overlay", 0, options.data) != 0)
		fail(errno, "cannot mount the root filesystem: %s", strerror(errno));
	free(options.data);
}
