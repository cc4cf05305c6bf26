import { isAbsolute } from 'node:path';
import { splitFields, splitPair } from '../flags/comma-separated.ts';
import { parseInteger, parseMemorySize } from '../flags/scalar.ts';

export interface DeviceMapping {
  PathOnHost: string;
  PathInContainer: string;
  CgroupPermissions: string;
}

export interface DeviceRequest {
  Driver: string;
  Count: number;
  DeviceIDs: string[] | null;
  Capabilities: string[][] | null;
  Options: Record<string, string> | null;
}

const isMode = (mode: string): boolean => /^[rwm]+$/.test(mode) && new Set(mode).size === mode.length;

/** A device of the Container Device Interface: `vendor.com/class=name`. */
export function isCdiName(value: string): boolean {
  return /^[A-Za-z][\w.-]*[A-Za-z0-9]\/[A-Za-z][\w-]*[A-Za-z0-9]=[A-Za-z0-9][\w.:-]*$/.test(value);
}

/** `/dev/a[:/dev/b][:rwm]`. */
export function parseDevice(value: string): DeviceMapping {
  const parts = value.split(':');
  if (parts.length > 3) throw new Error(`invalid device specification: ${value}`);
  const [host = '', second, third] = parts;
  let inside = host;
  let mode = third ?? 'rwm';
  if (second !== undefined) {
    if (parts.length === 2 && isMode(second)) mode = second;
    else inside = second;
  }
  return { PathOnHost: host, PathInContainer: inside, CgroupPermissions: mode };
}

/** Refuses what `parseDevice` could not have meant. */
export function checkDevice(value: string): string {
  if (isCdiName(value)) return value;
  const parts = value.split(':');
  if (value === '' || parts.length > 3) throw new Error(`bad format for path: ${value}`);
  const [host = '', second, third] = parts;
  const inside = second === undefined || (parts.length === 2 && isMode(second)) ? host : second;
  if (third !== undefined && !isMode(third)) throw new Error(`bad mode specified: ${third}`);
  if (!isAbsolute(inside)) throw new Error(`${inside} is not an absolute path`);
  return value;
}

/** `/dev/sda:200`: block IO weight of one device. */
export function parseWeightDevice(value: string): { Path: string; Weight: number } {
  const [device = '', weight, ...more] = value.split(':');
  if (weight === undefined || more.length > 0 || device === '') throw new Error(`bad format: ${value}`);
  if (!device.startsWith('/dev/')) throw new Error(`bad format for device path: ${value}`);
  const number = Number(weight);
  if (!/^\d+$/.test(weight) || (number > 0 && (number < 10 || number > 1000))) {
    throw new Error(`invalid weight for device: ${value}`);
  }
  return { Path: device, Weight: number };
}

/** `/dev/sda:1mb` (bytes a second) or `/dev/sda:100` (operations a second). */
export function parseThrottleDevice(value: string, unit: 'bps' | 'iops'): { Path: string; Rate: number } {
  const [device = '', rate, ...more] = value.split(':');
  if (rate === undefined || more.length > 0 || device === '') throw new Error(`bad format: ${value}`);
  if (!device.startsWith('/dev/')) throw new Error(`bad format for device path: ${value}`);
  try {
    return {
      Path: device,
      Rate: unit === 'bps' ? parseMemorySize(rate) : parseInteger(rate, 'ParseUint', 0),
    };
  } catch (error) {
    const form =
      unit === 'bps'
        ? `The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`
        : `The correct format is <device-path>:<number>. Number must be a positive integer`;
    throw new Error(`invalid rate for device: ${value}. ${form}`, { cause: error });
  }
}

/** One `--gpus`: `all`, a count, or `count=…,device=…,driver=…,"capabilities=a,b",options=k=v`. */
export function parseGpus(value: string): DeviceRequest {
  if (value === '') throw new Error('EOF');
  const request: DeviceRequest = { Driver: '', Count: 0, DeviceIDs: null, Capabilities: null, Options: {} };
  const seen = new Set<string>();
  let capabilities: string[] = [];
  for (const field of splitFields(value)) {
    const [name, given] = splitPair(field);
    const key = given === undefined ? 'count' : name;
    const text = given ?? name;
    if (seen.has(key)) throw new Error(`gpu request key '${key}' can be specified only once`);
    seen.add(key);
    if (key === 'driver') request.Driver = text;
    else if (key === 'count') request.Count = parseCount(text);
    else if (key === 'device') request.DeviceIDs = text.split(',');
    else if (key === 'capabilities') capabilities = text.split(',');
    else if (key === 'options') {
      for (const option of splitFields(text)) {
        const [optionName, setting = ''] = splitPair(option);
        (request.Options ??= {})[optionName] = setting;
      }
    } else throw new Error(`unexpected key '${key}' in '${field}'`);
  }
  if (!seen.has('count') && request.DeviceIDs === null) request.Count = 1;
  request.Capabilities = [[...capabilities, 'gpu']];
  return request;
}

function parseCount(text: string): number {
  if (text === 'all') return -1;
  if (!/^[+-]?\d+$/.test(text)) {
    throw new Error(`invalid count (${text}): value must be either "all" or an integer: invalid syntax`);
  }
  return Number(text);
}
