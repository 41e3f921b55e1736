// Requests to the studio's server, the only one this page ever talks to.

/** What went wrong, in the server's one line. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

type Query = Record<string, string | number | null | undefined>;

export function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return `/api/${path}${text ? `?${text}` : ""}`;
}

async function ask(path: string, query: Query, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(path, query), init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem("The studio does not answer. Is it still running in its terminal?", 0);
  }
  if (!response.ok) {
    const body = await response.json().catch(() => null);
    throw new Problem(sentence(body?.detail ?? `error ${response.status}`), response.status);
  }
  return response;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await ask(path, query, signal ? { signal } : {})).json();
}

export async function getBytes(path: string, query: Query): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await ask(path, query, {})).arrayBuffer());
}

export async function send<T>(
  method: "POST" | "PUT" | "DELETE",
  path: string,
  query: Query = {},
  body?: object,
): Promise<T> {
  const init: RequestInit = { method };
  if (body) {
    init.body = JSON.stringify(body);
    init.headers = { "content-type": "application/json" };
  }
  return (await ask(path, query, init)).json();
}

export async function sendBytes<T>(
  method: "POST" | "PUT",
  path: string,
  query: Query,
  bytes: BodyInit,
): Promise<T> {
  return (await sent(method, path, query, bytes)).json();
}

export async function bytesFor(
  path: string,
  query: Query,
  bytes: BodyInit,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await sent("POST", path, query, bytes)).arrayBuffer());
}

function sent(method: string, path: string, query: Query, body: BodyInit): Promise<Response> {
  const headers = { "content-type": "application/octet-stream" };
  return ask(path, query, { method, body, headers });
}

/** One request at a time; of those that come meanwhile only the newest is sent. */
export class LatestOnly<In, Out> {
  private waiting: { input: In } | null = null;
  private busy = false;

  constructor(
    private readonly work: (input: In) => Promise<Out>,
    private readonly done: (output: Out, input: In) => void,
    private readonly failed: (error: Error) => void,
  ) {}

  push(input: In): void {
    this.waiting = { input };
    if (!this.busy) void this.run();
  }

  /** Forget what waits; what is under way still arrives. */
  clear(): void {
    this.waiting = null;
  }

  private async run(): Promise<void> {
    this.busy = true;
    while (this.waiting) {
      const { input } = this.waiting;
      this.waiting = null;
      try {
        this.done(await this.work(input), input);
      } catch (error) {
        this.failed(error as Error);
      }
    }
    this.busy = false;
  }
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
