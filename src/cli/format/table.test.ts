import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alignColumns, alignTop } from './table.ts';

test('alignColumns() makes columns ten wide at least, three apart, and leaves the last alone', () => {
  assert.equal(
    alignColumns('NAME\tID\tX\na\tb\tc\nlonger than ten\tb\tcc\n'),
    'NAME              ID        X\na                 b         c\nlonger than ten   b         cc\n',
  );
});

test('alignColumns() measures a column only over neighbouring lines that have it', () => {
  assert.equal(
    alignColumns('a\tb\nno tabs here\nlong long long\tb\n'),
    'a         b\nno tabs here\nlong long long   b\n',
  );
});

test('alignColumns() keeps empty cells and counts characters, not bytes', () => {
  assert.equal(
    alignColumns('\t\tx\nöööööööööö\t\ty\n'),
    '                       x\nöööööööööö             y\n',
  );
});

test('alignTop() makes columns twenty wide', () => {
  assert.equal(alignTop('PID\tCMD\n1\tsh\n'), 'PID                 CMD\n1                   sh\n');
});
