// nginx as a bare reverse proxy: one worker, keep-alive on both sides, no log.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../test/harness.ts";
import type { Peer } from "./contract.ts";
import { isInstalled, launch } from "./launch.ts";

// Bodies stream both ways, as in the sidecar, instead of going through temporary files.
function configuration(folder: string, port: number, endpointPort: number, isGrpc: boolean): string {
  return `
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 19000; multi_accept on; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  http2_max_concurrent_streams 1000;
  client_max_body_size 0;
  upstream endpoint {
    server 127.0.0.1:${endpointPort};
    keepalive 4096;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096${isGrpc ? " http2" : ""};
    ${isGrpc ? GRPC_LOCATION : LOCATION}
  }
}
`;
}

const LOCATION = `location / {
      proxy_pass http://endpoint;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
    }`;

const GRPC_LOCATION = "location / { grpc_pass grpc://endpoint; }";

function nginxFor(isGrpc: boolean): Peer {
  return {
    name: "nginx",
    async start({ endpointPorts, folder }) {
      if (!isInstalled("nginx")) return undefined;
      const port = await freePort();
      const file = join(folder, "nginx.conf");
      writeFileSync(file, configuration(folder, port, endpointPorts[0] ?? 0, isGrpc));
      return launch({
        name: "nginx",
        command: ["nginx", "-c", file, "-p", folder, "-e", "stderr"],
        port,
        hasWorkers: true,
      });
    },
  };
}

export const nginx: Peer = nginxFor(false);

/** With `grpc_pass`. */
export const nginxGrpc: Peer = nginxFor(true);
