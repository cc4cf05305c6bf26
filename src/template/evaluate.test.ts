import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileTemplate } from './evaluate.ts';
import type { GoStruct } from './values.ts';

const data = {
  Name: '/web',
  State: { Status: 'running', Running: true, Pid: 42 },
  Config: { Env: ['A=1', 'B=2'], Labels: { a: 'one', b: 'two' }, Tty: false },
  Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '81/tcp': null },
  Size: 1048576,
  Empty: [],
  Text: 'hello wide world',
  Html: '<a&b>',
};

/** Template, and what Go's text/template with docker's functions gives for `data`. */
const CASES: readonly [string, string][] = [
  ['plain', 'plain'],
  ['{{.Name}}', '/web'],
  ['{{.State.Status}}', 'running'],
  ['{{ .State.Pid }}', '42'],
  ['{{.State}}', 'map[Pid:42 Running:true Status:running]'],
  ['{{.Config.Env}}', '[A=1 B=2]'],
  ['{{.Config.Labels}}', 'map[a:one b:two]'],
  ['{{json .Config}}', '{"Env":["A=1","B=2"],"Labels":{"a":"one","b":"two"},"Tty":false}'],
  ['{{json .Html}}', '"<a&b>"'],
  ['{{.Config.Labels | json}}', '{"a":"one","b":"two"}'],
  ['{{range .Config.Env}}{{.}};{{end}}', 'A=1;B=2;'],
  ['{{range $i, $e := .Config.Env}}{{$i}}={{$e}},{{end}}', '0=A=1,1=B=2,'],
  ['{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}} {{end}}', 'a:one b:two '],
  ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
  ['{{range $p, $c := .Ports}}{{$p}} -> {{(index $c 0).HostPort}}{{break}}{{end}}', '80/tcp -> 8080'],
  ['{{range $p, $c := .Ports}}{{if not $c}}{{continue}}{{end}}{{$p}}{{end}}', '80/tcp'],
  ['{{(index (index .Ports "80/tcp") 0).HostPort}}', '8080'],
  ['{{index .Config.Labels "a"}}', 'one'],
  ['{{index .Config.Labels "zzz"}}', '<no value>'],
  ['{{index .Config.Env 1}}', 'B=2'],
  ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
  ['{{if .Config.Tty}}tty{{else if .State.Running}}up{{else}}down{{end}}', 'up'],
  ['{{if and .State.Running (not .Config.Tty)}}yes{{end}}', 'yes'],
  ['{{if or .Config.Tty .Empty}}yes{{else}}no{{end}}', 'no'],
  ['{{and 1 0 2}} {{or 0 "" "x"}}', '0 x'],
  ['{{with .Config}}{{.Tty}} {{$.Name}}{{end}}', 'false /web'],
  ['{{with .Empty}}x{{else}}empty{{end}}', 'empty'],
  ['{{with $x := .Name}}{{$x}}{{end}}', '/web'],
  ['{{$x := 1}}{{$x = 2}}{{$x}}', '2'],
  ['{{$x := .Name}}{{if true}}{{$x = "in"}}{{end}}{{$x}}', 'in'],
  ['{{$x := .Name}}{{if true}}{{$x := "in"}}{{end}}{{$x}}', '/web'],
  ['{{len .Config.Env}} {{len .Name}} {{len .Config.Labels}}', '2 4 2'],
  ['{{eq .State.Status "running"}} {{eq .Size 1 1048576}} {{ne .Name "x"}}', 'true true true'],
  ['{{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}} {{lt "a" "b"}}', 'true true false false true'],
  ['{{upper .State.Status}} {{lower "ABC"}} {{title .Text}}', 'RUNNING abc Hello Wide World'],
  ['{{join .Config.Env ", "}}', 'A=1, B=2'],
  ['{{split .Text " "}}', '[hello wide world]'],
  ['{{index (split .Text " ") 1}}', 'wide'],
  ['{{truncate .Text 5}}|{{pad .Name 1 2}}|', 'hello| /web  |'],
  [
    '{{printf "%s is %d, %q, %v, %5d|%-5s|%05.1f|%x|%%" .Name .State.Pid .Text true 7 "ab" 3.14159 255}}',
    '/web is 42, "hello wide world", true,     7|ab   |003.1|ff|%',
  ],
  ['{{printf "%T %v" .State.Pid .Config.Env}}', 'int [A=1 B=2]'],
  ['{{println "a" 1}}', 'a 1\n'],
  ['{{print "a" 1 2 "b"}}', 'a1 2b'],
  ['{{"quoted\\ttab"}} {{`raw\\t`}} {{\'a\'}}', 'quoted\ttab raw\\t 97'],
  ['a {{- .Name -}} b', 'a/webb'],
  ['a {{- /* comment */ -}} b', 'ab'],
  ['a{{/* comment */}}b', 'ab'],
  ['{{define "T"}}[{{.}}]{{end}}{{template "T" .Name}}', '[/web]'],
  ['{{block "T" .Name}}<{{.}}>{{end}}', '</web>'],
  ['{{slice .Text 6 10}}', 'wide'],
  ['{{.Name | printf "%s-%s" "a"}}', 'a-/web'],
  ['{{.Missing}}', '<no value>'],
  ['{{html .Html}} {{urlquery "a b"}} {{js "it\'s"}}', "&lt;a&amp;b&gt; a+b it\\'s"],
  ['{{range 3}}{{.}}{{end}}', '012'],
  ['{{ (.State).Status }}', 'running'],
  ['{{1.5}} {{0x10}} {{1e3}} {{-4}}', '1.5 16 1000 -4'],
];

for (const [source, expected] of CASES) {
  test(`compileTemplate() renders ${source}`, () => {
    assert.equal(compileTemplate(source)(data), expected);
  });
}

/** Template, and the words of Go's error. */
const ERRORS: readonly [string, string][] = [
  ['{{.Name', 'template: :1: unclosed action'],
  ['{{', 'template: :1: unclosed action'],
  ['{{end}}', 'template: :1: unexpected {{end}}'],
  ['{{if .A}}', 'template: :1: unexpected EOF'],
  ['{{if}}{{end}}', 'template: :1: missing value for if'],
  ['{{foo .Name}}', 'template: :1: function "foo" not defined'],
  ['{{$x}}', 'template: :1: undefined variable "$x"'],
  ['{{}}', 'template: :1: missing value for command'],
  ['{{"abc}}', 'template: :1: unterminated quoted string'],
  ['{{(.Name}}', 'template: :1: unclosed left paren'],
  ['{{.Name)}}', 'template: :1: unexpected right paren'],
  [
    '{{.Name.Foo}}',
    'template: :1:7: executing "" at <.Name.Foo>: can\'t evaluate field Foo in type interface {}',
  ],
  ['{{range .Name}}{{end}}', 'template: :1:8: executing "" at <.Name>: range can\'t iterate over /web'],
  [
    '{{index .Config.Env 5}}',
    'template: :1:2: executing "" at <index .Config.Env 5>: error calling index: index out of range: 5',
  ],
  ['{{len 3}}', 'template: :1:2: executing "" at <len 3>: error calling len: len of type int'],
  [
    '{{eq 1 "a"}}',
    'template: :1:2: executing "" at <eq 1 "a">: error calling eq: incompatible types for comparison',
  ],
  ['{{upper}}', 'template: :1:2: executing "" at <upper>: wrong number of args for upper: want 1 got 0'],
];

for (const [source, expected] of ERRORS) {
  test(`compileTemplate() refuses ${source} in Go's words`, () => {
    assert.throws(() => compileTemplate(source)(data), { message: expected });
  });
}

test('compileTemplate() fails on a key that is not there when told to', () => {
  assert.throws(() => compileTemplate('{{.Foo}}', { missingKeyFails: true })(data), {
    message: 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"',
  });
});

test('compileTemplate() calls methods and refuses fields a struct does not have', () => {
  const row: GoStruct = {
    goType: '*formatter.ContainerContext',
    get: (name) => ({ ID: 'abc', Label: (label: unknown) => `<${String(label)}>` })[name as 'ID' | 'Label'],
    fields: () => [['ID', 'abc']],
    toJSON: () => '{"ID":"abc"}',
  };
  assert.equal(compileTemplate('{{.ID}} {{.Label "x"}} {{json .}} {{.}}')(row), 'abc <x> {"ID":"abc"} {abc}');
  assert.throws(() => compileTemplate('{{.Foo}}')(row), {
    message: `template: :1:2: executing "" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext`,
  });
});
