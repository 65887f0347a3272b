import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface Order {
  readonly do: "stream" | "storm" | "push" | "end";
  readonly text?: string;
  readonly calls?: number;
}

export type Report = { readonly text: string } | { readonly ended: string } | { readonly asked: number };

/** A member of a cluster that is a process of its own and asks for "q". */
export class RemoteMember implements AsyncDisposable {
  readonly texts: string[] = [];
  /** `whole`, or the code of the error. */
  ended: string | undefined;
  /** Calls that reached its model. */
  asked = 0;
  readonly process: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.process = child;
    this.#exited = once(child, "exit");
    child.on("message", (report: Report) => {
      if ("text" in report) this.texts.push(report.text);
      else if ("ended" in report) this.ended = report.ended;
      else this.asked = report.asked;
    });
  }

  static async start(url: string, keyPrefix: string): Promise<RemoteMember> {
    const child = fork(fileURLToPath(new URL("member-process.ts", import.meta.url)), [url, keyPrefix], { execArgv: [] });
    const started = new RemoteMember(child);
    await Promise.race([once(child, "message"), started.#exited.then(() => Promise.reject(new Error("The member did not start.")))]);
    return started;
  }

  tell(order: Order): void {
    this.process.send(order);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGCONT");
    this.process.kill("SIGKILL");
    await this.#exited;
  }
}
