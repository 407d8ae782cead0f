// References of a template get local values; what has none is refused rather than guessed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveTemplate } from '../../../../lib/local';

const template = {
  Mappings: { Accounts: { 'us-east-1': { pytorch: '763104351884' } } },
  Parameters: { Size: { Default: 'big' } },
  Resources: {
    DataBucket1234: { Type: 'AWS::S3::Bucket' },
    Named: { Type: 'AWS::S3::Bucket', Properties: { BucketName: 'mine' } },
    JobRole99: { Type: 'AWS::IAM::Role' },
  },
};

const resolved = (part: unknown) => resolveTemplate(part, template);

test('a Ref is the name of a resource, its own or one made of its id, or the default of a parameter', () => {
  assert.deepEqual(resolved([{ Ref: 'DataBucket1234' }, { Ref: 'Named' }, { Ref: 'Size' }]), [
    'databucket1234',
    'mine',
    'big',
  ]);
});

test('pseudo parameters are those of the local account', () => {
  const names = ['AccountId', 'Region', 'Partition', 'URLSuffix'];
  assert.deepEqual(resolved(names.map((name) => ({ Ref: `AWS::${name}` }))), [
    '000000000000',
    'us-east-1',
    'aws',
    'amazonaws.com',
  ]);
});

test('a GetAtt of an ARN is an ARN', () => {
  assert.equal(resolved({ 'Fn::GetAtt': ['DataBucket1234', 'Arn'] }), 'arn:aws:s3:::databucket1234');
  assert.equal(resolved({ 'Fn::GetAtt': ['JobRole99', 'Arn'] }), 'arn:aws:iam::000000000000:role/jobrole99');
});

test('Join and Sub put texts together', () => {
  assert.equal(resolved({ 'Fn::Join': ['/', ['s3:/', { Ref: 'Named' }, 'x']] }), 's3://mine/x');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how CloudFormation writes it
  assert.equal(resolved({ 'Fn::Sub': '${AWS::Region}:${Named.Arn}' }), 'us-east-1:arn:aws:s3:::mine');
});

test('FindInMap looks up a mapping, by references too', () => {
  const account = (key: string) => resolved({ 'Fn::FindInMap': ['Accounts', { Ref: 'AWS::Region' }, key] });
  assert.equal(account('pytorch'), '763104351884');
  assert.throws(() => account('other'), /mapping Accounts has nothing for us-east-1 and other/);
});

test('all else stays', () => {
  const part = { a: [1, null, true, 'Ref'], 'Fn::Join': 1, b: { Ref: 'Named', more: 1 } };
  assert.deepEqual(resolved(part), part);
});

test('a resource that is not there is named', () => {
  assert.throws(() => resolved({ Ref: 'Gone' }), /no resource or parameter Gone/);
});

test('a function without a local value is refused, inside a text too', () => {
  const imported = { 'Fn::ImportValue': 'other-stack:bucket' };
  assert.throws(() => resolved({ 'Fn::Join': ['', ['s3://', imported]] }), /Fn::ImportValue has no local value/);
});
