//! A Galera cluster of MariaDB nodes on loopback, which starts and ends with a test.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jishu_tests::process::{as_user, give_folders, run};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement};

/// The library of Galera, from Debian's package `galera-4`. Debian's `mariadb-server` depends on this package.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";
const USER: &str = "mysql";

/// The nodes, each with its data and its ports.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
}

pub(crate) struct Node {
    ports: Ports,
    log: PathBuf,
    child: Child,
}

/// The counters of conflicts with other nodes, since the start of a node.
pub(crate) struct Conflicts {
    /// Number of this node's transactions that failed at COMMIT, because another node had changed the same rows first.
    pub(crate) certification_failures: i64,
    /// Number of this node's transactions that were aborted before COMMIT, because a transaction of another node needed
    /// their locks.
    pub(crate) brute_force_aborts: i64,
}

impl Cluster {
    /// Starts the first node. The other nodes then join one by one, and each copies the data of the cluster.
    pub(crate) async fn start(size: usize, folder: &Path) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        for number in 0..size {
            let donor = nodes.first().map(|node| node.ports.group);
            let mut node = Node::spawn(number, donor, folder);
            node.until_synced().await;
            nodes.push(node);
        }
        let connection = nodes[0].connect("mysql").await.expect("a node that is synced");
        connection.execute_unprepared("CREATE DATABASE jishu").await.expect("a fresh database");
        let joined = status(&connection, "wsrep_cluster_size").await.expect("its status");
        assert_eq!(joined, size.to_string(), "not all nodes joined the cluster");
        connection.close().await.expect("closing");
        Self { nodes }
    }
}

impl Node {
    fn spawn(number: usize, donor: Option<u16>, folder: &Path) -> Self {
        let data = folder.join(format!("node{number}"));
        let (temporary, log) = (data.with_extension("tmp"), data.with_extension("log"));
        give_folders(USER, &[&data, &temporary]);
        if donor.is_none() {
            run(Command::new("mariadb-install-db")
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .arg(format!("--datadir={}", data.display()))
                .arg(format!("--user={USER}")));
        }
        let ports = Ports::free();
        let mut command = as_user(USER, "/usr/sbin/mariadbd");
        command
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--max-connections=200"])
            .args(["--character-set-server=utf8mb4", "--skip-log-bin"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", temporary.display()))
            .arg(format!("--socket={}", temporary.join("socket").display()))
            .arg(format!("--port={}", ports.client))
            // Galera requires row-based binary logs, lock mode 2 for generated ids, and InnoDB.
            .args(["--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--default-storage-engine=InnoDB"])
            .args(["--wsrep-on=ON", "--wsrep-cluster-name=jishu", "--wsrep-slave-threads=4"])
            .args(["--wsrep-node-address=127.0.0.1", "--wsrep-sst-method=rsync"])
            .arg(format!("--wsrep-provider={PROVIDER}"))
            .arg(format!("--wsrep-node-name=node{number}"))
            .arg(format!("--wsrep-sst-receive-address=127.0.0.1:{}", ports.copy))
            .arg(format!(
                "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{};ist.recv_addr=127.0.0.1:{};\
                 gcache.size=64M",
                ports.group, ports.missed
            ));
        match donor {
            Some(port) => command.arg(format!("--wsrep-cluster-address=gcomm://127.0.0.1:{port}")),
            None => command.args(["--wsrep-cluster-address=gcomm://", "--wsrep-new-cluster"]),
        };
        let file = File::create(&log).expect("a log file");
        let output = file.try_clone().expect("the same file");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(file).spawn().expect("it starts");
        Self { ports, log, child }
    }

    /// Waits until the node has all data of the cluster.
    async fn until_synced(&mut self) {
        let started = Instant::now();
        loop {
            if let Ok(connection) = self.connect("mysql").await {
                let state = status(&connection, "wsrep_local_state_comment").await;
                connection.close().await.expect("closing");
                if state.is_ok_and(|state| state == "Synced") {
                    return;
                }
            }
            let ended = self.child.try_wait().expect("a process of ours");
            assert!(
                ended.is_none() && started.elapsed() < Duration::from_secs(90),
                "the node did not join: {}",
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns the URL of the database `jishu` on this node. All nodes share its data.
    pub(crate) fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/jishu", self.ports.client)
    }

    /// Opens one connection to this node.
    pub(crate) async fn connect(&self, database: &str) -> Result<DatabaseConnection, DbErr> {
        let url = format!("mysql://root@127.0.0.1:{}/{database}", self.ports.client);
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false).connect_timeout(Duration::from_secs(1));
        Database::connect(options).await
    }

    pub(crate) async fn conflicts(&self) -> Conflicts {
        let connection = self.connect("mysql").await.expect("the node answers");
        let count =
            async |name| status(&connection, name).await.expect("its status").parse().expect("a number");
        let conflicts = Conflicts {
            certification_failures: count("wsrep_local_cert_failures").await,
            brute_force_aborts: count("wsrep_local_bf_aborts").await,
        };
        connection.close().await.expect("closing");
        conflicts
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The node's data is not needed after the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn status(connection: &DatabaseConnection, name: &str) -> Result<String, DbErr> {
    let show = format!("SHOW STATUS LIKE '{name}'");
    let row =
        connection.query_one_raw(Statement::from_string(connection.get_database_backend(), show)).await?;
    row.ok_or_else(|| DbErr::RecordNotFound(name.to_owned()))?.try_get_by_index(1)
}

/// The ports of a node.
struct Ports {
    client: u16,
    /// The port for the traffic between the nodes.
    group: u16,
    /// The port at which a node that rejoins receives the writes that it missed.
    missed: u16,
    /// The port at which a new node receives a copy of all data.
    copy: u16,
}

impl Ports {
    /// Finds free ports. All listeners exist at the same time, so the ports differ.
    fn free() -> Self {
        let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [client, group, missed, copy] =
            listeners.each_ref().map(|listener| listener.local_addr().expect("its address").port());
        Self { client, group, missed, copy }
    }
}
