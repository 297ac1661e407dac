/** Containers of the image of this repository, on a network and with volumes of their own. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import {
  type ContainerRuntimeClient,
  GenericContainer,
  getContainerRuntimeClient,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from "testcontainers";
import { freePorts } from "../integration/ports.ts";
import { until } from "../integration/until.ts";

type Container = ReturnType<ContainerRuntimeClient["container"]["getById"]>;

const IMAGE = "quorate:test";
const ROOT = join(import.meta.dirname, "..", "..");
const NAMES = ["n1", "n2", "n3"];
const CLUSTER = NAMES.map((name) => `${name}=http://${name}:5001`).join(",");

/** Who a node is, whatever container it has, and its port on this machine. */
interface Seat {
  readonly name: string;
  readonly port: number;
}

/** Whether a container founds the cluster with the others, or comes later. */
const FOUNDER = { QUORATE_INITIAL_CLUSTER: CLUSTER };
const JOINER = { QUORATE_JOIN: NAMES.map((name) => `http://${name}:4001`).join(",") };

/** What `quorate status` says of a node. */
export interface Status {
  readonly role: string | null;
  readonly leader: string | null;
  readonly term: number | null;
}

/** One node: its container, which may be running or not, and its volume. */
export class DockerNode {
  readonly name: string;
  /** Where this machine reaches it, while it is plugged in. */
  readonly url: string;
  readonly container: Container;
  readonly #started: StartedTestContainer;

  constructor({ name, port }: Seat, started: StartedTestContainer, client: ContainerRuntimeClient) {
    this.name = name;
    this.url = `http://127.0.0.1:${port}`;
    this.#started = started;
    this.container = client.container.getById(started.getId());
  }

  /** Runs the client in the node's container, against the node itself. */
  async quorate(...args: readonly string[]): Promise<{ code: number; stdout: string }> {
    const command = ["node", "dist/src/main.js", ...args];
    const { exitCode, stdout } = await this.#started.exec(command);
    return { code: exitCode, stdout };
  }

  async put(key: string, value: string): Promise<void> {
    const { code, stdout } = await this.quorate("put", key, value);
    if (code !== 0) throw new Error(`put through ${this.name}: exit code ${code} ${stdout}`);
  }

  /** By a linearizable read. Null: it failed. */
  async get(key: string): Promise<string | null> {
    const { code, stdout } = await this.quorate("get", key);
    return code === 0 ? (JSON.parse(stdout) as { value: string }).value : null;
  }

  /** Who may vote, as this node knows it. */
  async voters(): Promise<readonly string[]> {
    const { stdout } = await this.quorate("member", "list");
    const lines = stdout.split("\n").filter((line) => line !== "");
    const members = lines.map((line) => JSON.parse(line) as { name: string; role: string });
    return members.filter(({ role }) => role === "voter").map(({ name }) => name);
  }

  async status(): Promise<Status> {
    const { stdout } = await this.quorate("status");
    return JSON.parse(stdout.split("\n")[0] ?? "") as Status;
  }

  async health(): Promise<string | undefined> {
    return (await this.container.inspect()).State.Health?.Status;
  }

  async kill(): Promise<void> {
    await this.container.kill({ signal: "SIGKILL" });
    await this.container.wait();
  }

  /** In good order; returns the exit code. */
  async stop(): Promise<number> {
    await this.container.stop();
    return (await this.container.inspect()).State.ExitCode;
  }

  async start(): Promise<void> {
    await this.container.start();
  }
}

export class DockerCluster {
  nodes: readonly DockerNode[] = [];
  readonly #client: ContainerRuntimeClient;
  readonly #network: StartedNetwork;
  /** Of the names of all that it makes. */
  readonly #prefix: string;
  readonly #seats: readonly Seat[];

  private constructor(
    client: ContainerRuntimeClient,
    network: StartedNetwork,
    ports: readonly number[],
  ) {
    this.#client = client;
    this.#network = network;
    this.#prefix = `quorate-test-${randomBytes(4).toString("hex")}`;
    this.#seats = NAMES.map((name, at) => ({ name, port: ports[at] ?? 0 }));
  }

  /** Builds the image, and starts three containers of it. */
  static async start(): Promise<DockerCluster> {
    const client = await getContainerRuntimeClient();
    const network = await new Network().start();
    const cluster = new DockerCluster(client, network, await freePorts(NAMES.length));
    try {
      await cluster.#forgetImage();
      await GenericContainer.fromDockerfile(ROOT).build(IMAGE, { deleteOnExit: false });
      await cluster.startContainers();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** A build that fails is not told of: without its name, an older image is not taken for it. */
  async #forgetImage(): Promise<void> {
    const { dockerode } = this.#client.container;
    const found = await dockerode.listImages({ filters: { reference: [IMAGE] } });
    if (found.length > 0) await dockerode.getImage(IMAGE).remove({ force: true, noprune: true });
  }

  /** New containers, with the volumes that are there. */
  async startContainers(): Promise<void> {
    const starting = this.#seats.map((seat) => this.#startContainer(seat, FOUNDER));
    this.nodes = await Promise.all(starting);
  }

  /** One container more, on an empty volume, which joins by itself. */
  async join(name: string): Promise<DockerNode> {
    const [port = 0] = await freePorts(1);
    const own = { ...JOINER, QUORATE_PEER_URL: `http://${name}:5001` };
    const node = await this.#startContainer({ name, port }, own);
    this.nodes = [...this.nodes, node];
    return node;
  }

  /** Removes the container; its volume stays until the end. */
  async remove(node: DockerNode): Promise<void> {
    await node.container.remove({ force: true });
    this.nodes = this.nodes.filter((other) => other !== node);
  }

  async removeContainers(): Promise<void> {
    const { container } = this.#client;
    const found = await container.dockerode.listContainers({
      all: true,
      filters: { name: [this.#prefix] },
    });
    await Promise.all(found.map(({ Id }) => container.getById(Id).remove({ force: true })));
    this.nodes = [];
  }

  /** Removes containers, volumes and the network. The image stays, as a cache. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.removeContainers();
    const { dockerode } = this.#client.container;
    const { Volumes } = await dockerode.listVolumes({ filters: { name: [this.#prefix] } });
    for (const { Name } of Volumes) await dockerode.getVolume(Name).remove();
    await this.#network.stop();
  }

  /** Every container is healthy, in the eyes of the engine. */
  async healthy(): Promise<void> {
    for (const node of this.nodes) {
      const isHealthy = async () => (await node.health()) === "healthy";
      await until(`${node.name} is healthy`, isHealthy, 60_000);
    }
  }

  /** The node among these that leads. */
  async leader(among: readonly DockerNode[] = this.nodes): Promise<DockerNode> {
    const find = async () => {
      const statuses = await Promise.all(among.map((node) => node.status()));
      return among[statuses.findIndex(({ role }) => role === "leader")] ?? null;
    };
    return until("there is a leader", find, 30_000);
  }

  /** Pulls the node's network cable. */
  async unplug({ container }: DockerNode): Promise<void> {
    const { dockerode } = this.#client.container;
    await dockerode.getNetwork(this.#network.getId()).disconnect({ Container: container.id });
  }

  async plug({ container, name }: DockerNode): Promise<void> {
    const client = this.#client.container;
    const network = client.dockerode.getNetwork(this.#network.getId());
    await client.connectToNetwork(container, network, [name]);
  }

  async #startContainer(
    seat: Seat,
    environment: Readonly<Record<string, string>>,
  ): Promise<DockerNode> {
    const { name, port } = seat;
    const started = await new GenericContainer(IMAGE)
      .withName(`${this.#prefix}-${name}`)
      .withNetwork(this.#network)
      .withNetworkAliases(name)
      .withExposedPorts({ container: 4001, host: port })
      .withEnvironment({
        QUORATE_NAME: name,
        QUORATE_PEER_LISTEN: "0.0.0.0:5001",
        ...environment,
      })
      .withBindMounts([{ source: `${this.#prefix}-${name}`, target: "/data" }])
      .withWaitStrategy(Wait.forLogMessage(/clients: /))
      .start();
    return new DockerNode(seat, started, this.#client);
  }
}
