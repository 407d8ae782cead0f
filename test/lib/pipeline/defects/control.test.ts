// Planted defects of retries, caches, conditions and parameters.
import { parameter, testDefects } from './planted';

testDefects({
  'a retry policy for what it cannot be': {
    step: 'MakeModel',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['SageMaker.CAPACITY_ERROR'], MaxAttempts: 2 }];
    },
    problem: /for SageMaker\.CAPACITY_ERROR/,
    fix: /Step\.SERVICE_FAULT, Step\.THROTTLING/,
  },
  'a retry policy where there can be none': {
    step: 'Ask',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['Step.THROTTLING'], MaxAttempts: 2 }];
    },
    problem: /a Lambda step cannot have/,
    fix: /leave them out/,
  },
  'a retry policy without an exception': {
    step: 'Train',
    change: (_, step) => {
      step.RetryPolicies = [{ MaxAttempts: 2 }];
    },
    problem: /names no exception/,
    fix: /CAPACITY_ERROR/,
  },
  'a retry policy without an end': {
    step: 'Train',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['Step.THROTTLING'] }];
    },
    problem: /either MaxAttempts or ExpireAfterMin/,
    fix: /one of them/,
  },
  'too many attempts': {
    step: 'Train',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['Step.THROTTLING'], MaxAttempts: 21 }];
    },
    problem: /MaxAttempts 21/,
    fix: /1 to 20/,
  },
  'attempts for too long': {
    step: 'Train',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['Step.THROTTLING'], ExpireAfterMin: 14_401 }];
    },
    problem: /ExpireAfterMin 14401/,
    fix: /0 to 14400/,
  },
  'a cache of no duration': {
    step: 'Train',
    change: (_, step) => {
      step.CacheConfig = { Enabled: true, ExpireAfter: '30d' };
    },
    problem: /expires after 30d/,
    fix: /P30D/,
  },
  'a condition of no type that there is': {
    step: 'Gate',
    change: (args) => {
      args.Conditions = [{ Type: 'And', Conditions: [] }];
    },
    problem: /a condition of the type And/,
    fix: /Equals.*Or/,
  },
  'a condition that compares a text with a number, inside others': {
    step: 'Gate',
    change: (args) => {
      const inner = { Type: 'Equals', LeftValue: { Get: 'Parameters.Mode' }, RightValue: 3 };
      args.Conditions = [{ Type: 'Not', Condition: { Type: 'Or', Conditions: [inner] } }];
    },
    problem: /Equals compares a text.* with a number, 3/,
    fix: /one kind/,
  },
  'no condition at all': {
    step: 'Gate',
    change: (args) => {
      args.Conditions = [];
    },
    problem: /no Conditions/,
    fix: /at least one/,
  },
  'an Or of nothing': {
    step: 'Gate',
    change: (args) => {
      args.Conditions = [{ Type: 'Or', Conditions: [] }];
    },
    problem: /an Or of no conditions/,
    fix: /at least one/,
  },
  'a parameter of no type that there is': {
    step: 'Train',
    change: (_, __, { Parameters }) => void Parameters.push(parameter('Text', 'a')),
    where: 'parameter Planted',
    problem: /its type is Text/,
    fix: /String, Integer/,
  },
  'a default of another type': {
    step: 'Train',
    change: (_, __, { Parameters }) => void Parameters.push(parameter('Integer', 0.5)),
    where: 'parameter Planted',
    problem: /default is number 0\.5, and its type is Integer/,
    fix: /the one or the other/,
  },
});
