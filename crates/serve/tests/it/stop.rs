//! Stopping, while somebody holds on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use foretwin_engine::{Config, Node, Roles};

#[test]
fn a_request_that_never_ends_does_not_hold_the_stop() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data_dir: dir.path().to_path_buf(), ..Config::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let node = Node::start(&config, Roles { collect: false }).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap() };
    let serving = runtime.spawn(foretwin_serve::serve(listener, node.handle(), stopped));

    let mut slow = TcpStream::connect(address).unwrap();
    let head = "POST /api/v1/failures HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    write!(slow, "{head}content-length: 100\r\nexpect: 100-continue\r\n\r\n").unwrap();
    // It is asked for the body once the server has begun with the request.
    let mut asked = [0; 12];
    slow.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    write!(slow, "{{").unwrap();
    let began = Instant::now();
    stop.send(()).unwrap();
    let done = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), serving).await });
    done.unwrap().unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(5), "open requests got no time: {:?}", began.elapsed());
    node.stop().unwrap();
}
