// The points of SageMaker's contract with a container: what each asks, where AWS says so, and how what breaks it is mended.
const GUIDE = 'https://docs.aws.amazon.com/sagemaker/latest/dg';
const API = 'https://docs.aws.amazon.com/sagemaker/latest/APIReference';

/** One thing that is asked of a container. */
export interface Point {
  /** What SageMaker asks, or relies on. */
  readonly contract: string;
  /** AWS's page that says so. */
  readonly source: string;
  readonly fix: string;
}

export const POINTS = {
  'image/entry-point': {
    contract: 'the entry point is in exec form, so that signals reach the program, not a shell that keeps them',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'write ENTRYPOINT ["program", "argument"] in the Dockerfile; a shell script ends with exec "$@".',
  },
  'image/user': {
    contract: 'the container runs as root: /opt/ml is mounted writable for root',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'leave USER out of the Dockerfile, or set it back to root in the last stage.',
  },
  'image/platform': {
    contract: 'the image is for Linux on the processor of the instance: amd64; arm64 on Graviton alone',
    source: `${GUIDE}/your-algorithms-training-algo-dockerfile.html`,
    fix: 'build with --platform linux/amd64.',
  },
  'training/success': {
    contract: '`train` finds its input below /opt/ml/input, and ends with status 0 when it has trained',
    source: `${GUIDE}/your-algorithms-training-signal-success-failure.html`,
    fix: 'see the log; values in hyperparameters.json are strings, channels are folders of /opt/ml/input/data.',
  },
  'training/model': {
    contract: 'the model is in /opt/ml/model when `train` ends: SageMaker packs what is there as model.tar.gz',
    source: `${GUIDE}/your-algorithms-training-algo-output.html`,
    fix: 'write the model into /opt/ml/model.',
  },
  'training/no-failure': {
    contract: 'a training that succeeds leaves no /opt/ml/output/failure',
    source: `${GUIDE}/your-algorithms-training-signal-success-failure.html`,
    fix: 'write the file failure only before ending with another status than 0.',
  },
  'training/places': {
    contract:
      'results lie in /opt/ml/model, /opt/ml/output and /opt/ml/checkpoints: nothing else of the container is kept',
    source: `${GUIDE}/your-algorithms-training-algo-output.html`,
    fix: 'write what is to be kept into these, and what is not into /tmp.',
  },
  'training/exit-status': {
    contract: 'a training that fails ends with another status than 0: with 0 the job is Completed, whatever it left',
    source: `${GUIDE}/your-algorithms-training-signal-success-failure.html`,
    fix: 'end with status 1 where there is nothing to train on; where that is no failure, name one with --failing.',
  },
  'training/failure-file': {
    contract:
      'a training that fails says why in /opt/ml/output/failure; its first 1,024 characters become FailureReason',
    source: `${GUIDE}/your-algorithms-training-signal-success-failure.html`,
    fix: 'catch errors at the entry point, and write their message into the file, what was wrong first.',
  },
  'training/sigterm': {
    contract: '`train` ends within 120 s of SIGTERM: a stopped or interrupted job is killed after that',
    source: `${API}/API_StopTrainingJob.html`,
    fix: 'handle SIGTERM (save, then exit); start the program with exec, so that the signal reaches it.',
  },
  'training/checkpoint': {
    contract: 'what is in /opt/ml/checkpoints when a spot job is interrupted is there when it is begun again',
    source: `${GUIDE}/model-checkpoints.html`,
    fix: 'write checkpoints there while training and at SIGTERM, and go on from the newest one at the start.',
  },
  'serving/port': {
    contract: '`serve` listens on 0.0.0.0 at port 8080, or at SAGEMAKER_BIND_TO_PORT where that is set',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'listen on the port in SAGEMAKER_BIND_TO_PORT, else on 8080, and on all addresses, not on localhost alone.',
  },
  'serving/healthy': {
    contract: 'GET /ping answers 200 within 4 minutes of the start',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'load the model before or beside listening, and faster; leave large downloads to the build of the image.',
  },
  'serving/ping': {
    contract: 'GET /ping is answered within 2 s',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'let /ping do nothing but say whether the model is loaded.',
  },
  'serving/invocations': {
    contract: 'POST /invocations answers a good request with 200 within 60 s',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'see the log; answer with the prediction, and take longer work to asynchronous inference.',
  },
  'serving/malformed': {
    contract:
      'a request that is wrong gets 4xx: a 5xx counts as a failure of the model (Invocation5XXErrors), which alarms stand on',
    source: `${API}/API_runtime_InvokeEndpoint.html`,
    fix: 'check type and content of the body before the model gets it; answer 400 or 415 with the reason.',
  },
  'serving/survives': {
    contract: 'the server is still healthy after requests that were wrong',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'catch what decoding throws; nothing that a request holds may end the process.',
  },
  'serving/body-6mb': {
    contract: 'a body of 6 MB is taken: the least that batch transform may send (MaxPayloadInMB, 6 by default)',
    source: `${API}/API_CreateTransformJob.html`,
    fix: "raise the server's limit (nginx: client_max_body_size; gunicorn, Fastify, Express: their body limits).",
  },
  'serving/body-25mb': {
    contract: 'a body of 25 MB is taken: what a real-time endpoint passes on',
    source: `${API}/API_runtime_InvokeEndpoint.html`,
    fix: "raise the server's limit to 25 MB (nginx: client_max_body_size 25m).",
  },
  'serving/concurrent': {
    contract: 'requests that come together are all answered, within 60 s; 503 and 429 are answers',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'serve with several workers or a queue; refuse what is too much with 503, do not drop connections.',
  },
  'serving/ping-under-load': {
    contract: 'GET /ping is answered within 2 s while requests are worked on: else the instance is replaced',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'run the model in another thread or process than the one that answers /ping.',
  },
  'serving/execution-parameters': {
    contract: 'GET /execution-parameters tells batch transform how much to send (optional)',
    source: `${GUIDE}/your-algorithms-batch-code.html`,
    fix: 'answer {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}; or set them in each job.',
  },
  'serving/model-read-only': {
    contract: '/opt/ml/model is read-only for `serve`',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'write caches and compiled models into /tmp, or while training.',
  },
  'serving/read-only-root': {
    contract: '`serve` gets healthy where it can write to /tmp alone, as hardened hosts have it (optional)',
    source: 'https://docs.aws.amazon.com/securityhub/latest/userguide/ecs-controls.html',
    fix: 'write logs to standard output, and sockets, caches and temporary files into /tmp.',
  },
  'serving/drain': {
    contract: 'a request in progress at SIGTERM is answered: every update of an endpoint stops servers so',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'at SIGTERM take no more connections, answer what is in progress, then exit.',
  },
  'serving/sigterm': {
    contract: '`serve` ends within 30 s of SIGTERM: SIGKILL follows',
    source: `${GUIDE}/your-algorithms-inference-code.html`,
    fix: 'handle SIGTERM; start the server with exec, so that the signal reaches it.',
  },
} as const satisfies Readonly<Record<string, Point>>;

export type PointId = keyof typeof POINTS;

/** fail: SageMaker would trip over it; hint: it works, and could be better. */
export type Verdict = 'pass' | 'fail' | 'hint' | 'skipped';

export interface Finding extends Point {
  readonly point: PointId;
  readonly verdict: Verdict;
  /** What the container did. */
  readonly seen: string;
}

/** Gathers a verdict for each point, once. */
export class Findings {
  private readonly found = new Map<PointId, Finding>();

  /** @param onFinding told of each when it is known */
  constructor(private readonly onFinding: (finding: Finding) => void = () => {}) {}

  tell(point: PointId, verdict: Verdict, seen: string): void {
    const finding = { point, verdict, seen, ...POINTS[point] };
    this.found.set(point, finding);
    this.onFinding(finding);
  }

  judge(point: PointId, holds: boolean, seen: string): void {
    this.tell(point, holds ? 'pass' : 'fail', seen);
  }

  /** Gives all points of a part that have no verdict yet the same reason. */
  skipRest(part: string, reason: string): void {
    for (const point of Object.keys(POINTS) as PointId[])
      if (point.startsWith(`${part}/`) && !this.found.has(point)) this.tell(point, 'skipped', reason);
  }

  /** In the order of the catalogue. */
  list(): Finding[] {
    return (Object.keys(POINTS) as PointId[]).flatMap((point) => this.found.get(point) ?? []);
  }
}
