/** The real server with the real page in front of facts that the test holds. */
import { bundleStatusPage } from '../../../scripts/status-page.mjs';
import { HttpServer, type RoleBackend, type StatusFacts, type StatusPage } from '../../../src/http/index.ts';
import { statusPageOf } from '../../../src/http/status-page/index.ts';
import { HOLDER } from '../facts.ts';
import { metricFacts, PROCESS } from '../metric-facts.ts';
import { statusFacts } from './status-facts.ts';

export class PageServer {
  facts: () => StatusFacts = () => statusFacts();
  /** How often the facts were read. */
  reads = 0;
  readonly #listeners = new Set<() => void>();
  readonly #page: StatusPage | null;
  #server: HttpServer | null = null;
  port = 0;

  private constructor(page: StatusPage | null) {
    this.#page = page;
  }

  /** Without the page where only its data are asked for. */
  static async start({ hasPage }: { hasPage: boolean }): Promise<PageServer> {
    const server = new PageServer(hasPage ? await pageOf() : null);
    await server.open(0);
    return server;
  }

  readonly backend: RoleBackend = {
    roleFacts: () => HOLDER,
    metricFacts,
    statusFacts: () => {
      this.reads += 1;
      return this.facts();
    },
    onChange: (listener) => {
      this.#listeners.add(listener);
      return () => void this.#listeners.delete(listener);
    },
  };

  async open(port: number): Promise<void> {
    this.#server = new HttpServer({
      listen: `127.0.0.1:${port}`,
      backend: this.backend,
      process: PROCESS,
      page: this.#page,
    });
    this.port = await this.#server.start();
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** What an agent does in the step that changes something. */
  change(facts: () => StatusFacts): void {
    this.facts = facts;
    for (const listener of this.#listeners) listener();
  }

  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = null;
  }
}

const pageOf = async () => statusPageOf(await bundleStatusPage());
