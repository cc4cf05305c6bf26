import { libcFunction } from './libc.ts';

const mallocTrim = libcFunction('malloc_trim', 'int', ['size_t']);

/** Gives the pages that the C library's allocator holds free back to the kernel (malloc_trim(3)); some 10 ms after a busy time. */
export function releaseFreeMemory(): void {
  mallocTrim(0);
}
