//! Paths and command lines as real machines have them.

use super::*;

const ID: &str = "8d1f0cf3a9a1b60a4d6c6e0c5a9f7b1e2d3c4b5a69788796a5b4c3d2e1f00112";
const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

fn container(path: &str) -> (String, Option<&'static str>, Option<String>) {
    match Place::of(path) {
        Place::Container { id, runtime, pod } => (id, runtime, pod),
        other => panic!("{path} is {other:?}"),
    }
}

#[test]
fn containers_of_all_runtimes() {
    let uid_ = UID.replace('-', "_");
    let burstable = format!("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice");
    let cases = [
        (format!("docker/{ID}"), Some("docker"), None),
        (format!("system.slice/docker-{ID}.scope"), Some("docker"), None),
        (format!("machine.slice/libpod-{ID}.scope"), Some("podman"), None),
        (format!("libpod_parent/libpod-{ID}"), Some("podman"), None),
        (
            format!("user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
            Some("podman"),
            None,
        ),
        (format!("{burstable}/cri-containerd-{ID}.scope"), Some("containerd"), Some(UID)),
        (format!("{burstable}/crio-{ID}.scope"), Some("cri-o"), Some(UID)),
        (format!("kubepods/besteffort/pod{UID}/{ID}"), None, Some(UID)),
        (format!("kubepods/pod{UID}/{ID}"), None, Some(UID)),
        (format!("system.slice/kubepods-pod{uid_}.slice:cri-containerd:{ID}"), Some("containerd"), Some(UID)),
        (format!("ecs/3f2a/{ID}"), None, None),
    ];
    for (path, runtime, pod) in cases {
        assert_eq!(container(&path), (ID.into(), runtime, pod.map(Into::into)), "{path}");
    }
    assert_eq!(container("lxc.payload.web").0, "web");
    assert_eq!(container("lxc/db").0, "db");
}

#[test]
fn what_is_near_a_container_is_none() {
    let monitor = format!("machine.slice/libpod-conmon-{ID}.scope");
    assert!(matches!(Place::of(&monitor), Place::Unit { .. }));
    assert_eq!(Place::of(&format!("machine.slice/libpod-{ID}.scope/container")), Place::Inner);
    assert_eq!(Place::of(&format!("docker/{ID}/workers")), Place::Group);
    assert_eq!(Place::of("docker"), Place::Group);
    assert_eq!(Place::of(&format!("process/{}", &ID[..32])), Place::Group);
    assert_eq!(Place::of("leaktest"), Place::Group);
    assert_eq!(Place::of("podcast"), Place::Group);
}

#[test]
fn pods_units_and_guests() {
    let uid_ = UID.replace('-', "_");
    let slice = format!("kubepods.slice/kubepods-pod{uid_}.slice");
    assert_eq!(Place::of(&slice), Place::Pod { uid: UID.into() });
    assert_eq!(Place::of(&format!("kubepods/burstable/pod{UID}")), Place::Pod { uid: UID.into() });
    assert_eq!(
        Place::of("kubepods/pod5f1d2c3b4a5968778695a4b3c2d1e0f0"),
        Place::Pod { uid: "5f1d2c3b4a5968778695a4b3c2d1e0f0".into() }
    );
    assert_eq!(
        Place::of("machine.slice/machine-qemu\\x2d3\\x2dweb\\x2d1.scope"),
        Place::Vm { name: "web-1".into() }
    );
    for unit in
        ["system.slice/nginx.service", "system.slice", "init.scope", "system.slice/dev-hugepages.mount"]
    {
        assert!(matches!(Place::of(unit), Place::Unit { .. }), "{unit}");
    }
    assert!(
        Place::of("system.slice/nginx.service").is_boundary() && !Place::of("system.slice").is_boundary()
    );
}

fn workload(path: &str, command: Option<&str>) -> String {
    Place::of(path).workload(path, &Container::default(), command)
}

#[test]
fn units_outlive_restarts() {
    let cases = [
        ("system.slice/nginx.service", "unit:nginx.service"),
        ("system.slice/system-getty.slice/getty@tty1.service", "unit:getty@tty1.service"),
        (
            "system.slice/system-postgresql.slice/postgresql@15-main.service",
            "unit:postgresql@15-main.service",
        ),
        ("user.slice/user-1000.slice/user@1000.service", "unit:user@1000.service"),
        ("user.slice/user-1000.slice/session-42.scope", "unit:session-*.scope"),
        ("user.slice/user-1000.slice/session-c2.scope", "unit:session-*.scope"),
        ("init.scope", "unit:init.scope"),
        ("app.slice/app-gnome-firefox-12345.scope", "unit:app-gnome-firefox-*.scope"),
        ("app.slice/vte-spawn-8a6f2c1e-4b7d-4f0a-9c3e-1d2b3c4d5e6f.scope", "unit:vte-spawn-*.scope"),
        ("system.slice/run-r0f1e2d3c4b5a69788796a5b4c3d2e1f0.scope", "unit:run-*.scope"),
        ("system.slice/run-u12.service", "unit:run-*.service"),
        ("system.slice/worker-2.service", "unit:worker-2.service"),
        ("system.slice/dev-disk-by\\x2duuid.swap", "unit:dev-disk-by\\x2duuid.swap"),
    ];
    for (path, expected) in cases {
        assert_eq!(workload(path, None), expected);
    }
    // Only a unit that nobody named is known by its command instead.
    assert_eq!(workload("system.slice/run-u12.service", Some("/usr/bin/backup")), "command:/usr/bin/backup");
    assert_eq!(workload("system.slice/nginx.service", Some("/usr/sbin/nginx")), "unit:nginx.service");
}

#[test]
fn containers_are_their_image_and_name_or_deployment() {
    let place = Place::of(&format!("docker/{ID}"));
    let some = |text: &str| Some(text.to_owned());
    let redis = Container { name: some("cache"), image: some("redis:7"), ..Container::default() };
    assert_eq!(place.workload("", &redis, Some("/bin/redis")), "image:redis:7/cache");
    let digest = Container { image: some("redis:7@sha256:abc"), ..Container::default() };
    assert_eq!(place.workload("", &digest, None), "image:redis:7");
    let nameless = Container { image: Some(format!("sha256:{ID}")), ..Container::default() };
    assert_eq!(place.workload("", &nameless, Some("/bin/redis")), "command:/bin/redis");
    for (pod, owner) in
        [("web-5d4f8c7b9-x2x7k", "web"), ("db-0", "db"), ("logs-x2x7k", "logs"), ("kube-proxy", "kube-proxy")]
    {
        let facts =
            Container { name: some("app"), namespace: some("shop"), pod: some(pod), ..Container::default() };
        assert_eq!(place.workload("", &facts, None), format!("deployment:shop/{owner}/app"), "{pod}");
    }
    let labels = place.labels(&redis);
    assert_eq!((labels["container.id"].as_str(), labels["container.name"].as_str()), (ID, "cache"));
    assert_eq!(labels["container.runtime"], "docker");
}

#[test]
fn groups_are_their_command_or_their_path() {
    assert_eq!(workload("leaktest", Some("/usr/bin/leak")), "command:/usr/bin/leak");
    assert_eq!(workload("leaktest", None), "group:leaktest");
}

#[test]
fn commands_of_programs_and_scripts() {
    let python = Some("/usr/bin/python3.11");
    let cases: &[(Option<&str>, &str, &str)] = &[
        (Some("/usr/bin/worker"), "/usr/bin/worker\0--port\x0080\0", "/usr/bin/worker"),
        (Some("/usr/bin/sleep"), "sleep\x00100\0", "/usr/bin/sleep"),
        (Some("/usr/sbin/nginx"), "nginx: master process /usr/sbin/nginx -g daemon off;", "/usr/sbin/nginx"),
        (Some("/opt/app (deleted)"), "app\0", "/opt/app"),
        (None, "redis-server *:6379\0", "redis-server"),
        (python, "python3\0-u\0-W\0ignore\0/opt/leak.py\0--rate\x005\0", "python3 /opt/leak.py"),
        (python, "/usr/bin/python3.11\0-m\0http.server\0", "python3 -m http.server"),
        (Some("/usr/bin/node"), "node\0--require\0./trace.js\0server.js\0", "node server.js"),
        (Some("/jdk/bin/java"), "java\0-Xmx1g\0-cp\0a.jar:b.jar\0com.shop.Main\0", "java com.shop.Main"),
        (Some("/jdk/bin/java"), "java\0-jar\0/srv/app.jar\0", "java -jar /srv/app.jar"),
        (Some("/usr/bin/bash"), "/bin/bash\0-x\0/etc/init/run.sh\0", "bash /etc/init/run.sh"),
        (Some("/usr/bin/bash"), "-bash\0", "bash"),
    ];
    for (exe, arguments, expected) in cases {
        assert_eq!(command(*exe, arguments.as_bytes()).as_deref(), Some(*expected), "{arguments:?}");
    }
    assert_eq!(command(None, b""), None);
}

#[test]
fn code_on_the_command_line_is_told_apart_but_not_shown() {
    let of = |code: &str| command(None, format!("sh\0-c\0{code}\0").as_bytes()).unwrap();
    assert_ne!(of("leak --secret=1"), of("serve"));
    assert_eq!(of("serve"), of("serve"));
    assert!(!of("leak --secret=1").contains("secret"));
}
