// Gives every Ref and GetAtt of a synthesised template the value that it has on this machine.
import { ACCOUNT, REGION } from '../names';

/** A synthesised CloudFormation template, as far as it is looked into. */
export interface Template {
  readonly Parameters?: Readonly<Record<string, { readonly Default?: unknown }>>;
  readonly Resources?: Readonly<Record<string, Resource>>;
  readonly Mappings?: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
}

export interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
}

const PSEUDO_PARAMETERS: Readonly<Record<string, string>> = {
  'AWS::AccountId': ACCOUNT,
  'AWS::Region': REGION,
  'AWS::Partition': 'aws',
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackName': 'local',
  'AWS::StackId': `arn:aws:cloudformation:${REGION}:${ACCOUNT}:stack/local/0`,
};

/** A name for a resource that has none of its own: what it is called in the template, as S3 and IAM allow names. */
function localName(id: string): string {
  return id.toLowerCase();
}

function ref(id: string, { Parameters = {}, Resources = {} }: Template): unknown {
  if (id in PSEUDO_PARAMETERS) return PSEUDO_PARAMETERS[id];
  if (id in Parameters) return Parameters[id]?.Default;
  const { Type, Properties = {} } = Resources[id] ?? {};
  if (Type === undefined) throw new Error(`the template has no resource or parameter ${id}`);
  const given = Properties[`${Type.split('::')[2]}Name`];
  return typeof given === 'string' ? given : localName(id);
}

function getAtt([id, attribute]: readonly [string, string], template: Template): unknown {
  const name = ref(id, template);
  const type = template.Resources?.[id]?.Type;
  if (attribute === 'Arn' && type === 'AWS::S3::Bucket') return `arn:aws:s3:::${name}`;
  if (attribute === 'Arn' && type === 'AWS::IAM::Role') return `arn:aws:iam::${ACCOUNT}:role/${name}`;
  if (attribute.endsWith('Arn')) return `arn:aws:${type?.split('::')[1]?.toLowerCase()}:${REGION}:${ACCOUNT}:${name}`;
  return `${name}.${attribute}`;
}

function sub(text: string, template: Template): string {
  return text.replace(/\$\{([^}!]+)\}/g, (_match, key: string) => {
    const [id, attribute] = key.split('.');
    return String(attribute === undefined ? ref(id as string, template) : getAtt([id as string, attribute], template));
  });
}

/** A copy of a part of a template with its intrinsic functions replaced by local values. */
export function resolveTemplate(part: unknown, template: Template): unknown {
  const inside = (value: unknown) => resolveTemplate(value, template);
  if (Array.isArray(part)) return part.map(inside);
  if (typeof part !== 'object' || part === null) return part;
  const entries = Object.entries(part);
  const [key, value] = entries[0] ?? [];
  if (entries.length === 1) {
    if (key === 'Ref') return ref(value as string, template);
    if (key === 'Fn::GetAtt') return getAtt(value as [string, string], template);
    if (key === 'Fn::Sub') return sub((Array.isArray(value) ? value[0] : value) as string, template);
    if (key === 'Fn::Join') {
      const [separator, values] = value as [string, unknown[]];
      return values.map((entry) => String(inside(entry))).join(separator);
    }
    if (key === 'Fn::FindInMap') {
      const [map, first, second] = (inside(value) as unknown[]).map(String) as [string, string, string];
      const found = template.Mappings?.[map]?.[first]?.[second];
      if (found === undefined) throw new Error(`the template's mapping ${map} has nothing for ${first} and ${second}`);
      return found;
    }
    if (key?.startsWith('Fn::'))
      throw new Error(`${key} has no local value; known are Ref, GetAtt, Sub, Join and FindInMap`);
  }
  return Object.fromEntries(entries.map(([name, entry]) => [name, inside(entry)]));
}
