// What a test suite in Node does with testcontainers, and dockerode below it. Prints "done" when all of it worked.
const assert = require("node:assert");
const path = require("node:path");
const Docker = require("dockerode");
const { GenericContainer, Network, Wait } = require("testcontainers");

const SERVE = "echo started; exec httpd -f -p 80 -h /w";

async function contain(folder) {
  const network = await new Network().start();
  const image = await GenericContainer.fromDockerfile(folder).withBuildkit().build("by-node", { deleteOnExit: false });
  const server = await image
    .withCommand(["sh", "-c", SERVE])
    .withExposedPorts(80)
    .withNetwork(network)
    .withNetworkAliases("server")
    .withCopyContentToContainer([{ content: "copied", target: "/w/copied" }])
    .withHealthCheck({ test: ["CMD", "wget", "-qO-", "http://127.0.0.1/copied"], interval: 250, timeout: 5000, retries: 40 })
    .withWaitStrategy(Wait.forAll([Wait.forLogMessage("started"), Wait.forHealthCheck(), Wait.forHttp("/copied", 80)]))
    .start();
  const page = await fetch(`http://${server.getHost()}:${server.getMappedPort(80)}/built`);
  assert.equal(await page.text(), "built\n");
  const asked = await server.exec(["sh", "-c", "wget -qO- http://server/copied; echo wrong >&2; exit 3"]);
  assert.deepEqual([asked.exitCode, asked.stdout, asked.stderr], [3, "copied", "wrong\n"]);
  await server.restart();
  await server.stop();
  await network.stop();
}

async function drive(folder) {
  const docker = new Docker();
  const build = await docker.buildImage({ context: folder, src: ["Dockerfile", "page"] }, { version: "2", t: "by-dockerode" });
  await new Promise((resolve, reject) => docker.modem.followProgress(build, (error) => (error ? reject(error) : resolve())));
  const [ended, container] = await docker.run("by-dockerode", ["cat", "/w/built"], process.stdout);
  assert.equal(ended.StatusCode, 0);
  await container.remove();
  for (const name of ["by-node", "by-dockerode"]) await docker.getImage(name).remove();
}

const folder = path.resolve(process.argv[2]);
contain(folder)
  .then(() => drive(folder))
  .then(() => console.log("done"))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
