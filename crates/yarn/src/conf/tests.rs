//! Configuration files as users write them, good and bad.

use super::*;
use crate::rpc::Address;
use proptest::prelude::*;
use std::fs;

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn load(files: &[(&str, &str)]) -> Result<HadoopConf, ConfError> {
    HadoopConf::load(&[directory(files).path()])
}

#[test]
fn later_files_win_unless_a_value_is_final() {
    let conf = load(&[
        (
            "core-site.xml",
            "<configuration><property><name> a </name><value>1</value><final>true</final></property>\
          <property><name>b</name><value>1</value></property></configuration>",
        ),
        (
            "yarn-site.xml",
            "<configuration><property name='a' value='2'/><property name='b' value='2'/></configuration>",
        ),
    ])
    .unwrap();
    assert_eq!((conf.get("a"), conf.get("b")), (Some("1".into()), Some("2".into())));
}

#[test]
fn values_are_substituted_and_old_names_understood() {
    let conf = load(&[(
        "core-site.xml",
        "<?xml version='1.0'?><?xml-stylesheet type='text/xsl' href='configuration.xsl'?>
         <!DOCTYPE configuration [<!ENTITY host \"nn.example\">]>
         <configuration><property><name>fs.default.name</name><value>hdfs://&host;:${port}/&amp;</value></property>
         <property><name>port</name><value>9000</value></property></configuration>",
    )])
    .unwrap();
    assert_eq!(conf.get("fs.defaultFS").unwrap(), "hdfs://nn.example:9000/&");
    assert!(
        conf.iter().any(|(key, value)| key == "fs.defaultFS" && value.starts_with("hdfs://nn.example:9000"))
    );
}

#[test]
fn included_files_are_read_and_missing_ones_fall_back() {
    let main = "<configuration xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='more.xml'/>
        <xi:include href='absent.xml'><xi:fallback><property><name>f</name><value>1</value></property></xi:fallback></xi:include>
        </configuration>";
    let more = "<configuration><property><name>m</name><value>2</value></property></configuration>";
    let conf = load(&[("core-site.xml", main), ("more.xml", more)]).unwrap();
    assert_eq!((conf.get("f"), conf.get("m")), (Some("1".into()), Some("2".into())));
    let error = load(&[("core-site.xml", "<configuration><include href='absent.xml'/></configuration>")])
        .unwrap_err();
    assert!(error.to_string().contains("absent.xml does not exist"), "{error}");
    let error = load(&[("core-site.xml", "<configuration><include href='core-site.xml'/></configuration>")])
        .unwrap_err();
    assert!(error.to_string().contains("include itself"), "{error}");
}

#[test]
fn malformed_files_are_named_with_the_line() {
    for (text, line) in [
        ("<configuration>\n<property>\n<name>a</value>", ":3:"),
        ("<configuration>\n<property><value>1</value></property></configuration>", ":2:"),
        ("<config/>", ":1:"),
        ("<configuration>\n\n&nobody;</configuration>", ":3:"),
        ("", ":1:"),
    ] {
        let error = load(&[("yarn-site.xml", text)]).unwrap_err().to_string();
        assert!(error.contains("yarn-site.xml") && error.contains(line), "{error}");
    }
}

#[test]
fn typed_access_names_the_key_and_its_file() {
    let conf = load(&[(
        "yarn-site.xml",
        "<configuration>\n<property name='n' value=' 0x10 '/><property name='bad' value='many'/>
         <property name='t' value='3m'/><property name='yes' value=' TRUE '/></configuration>",
    )])
    .unwrap();
    assert_eq!(conf.get_u64("n", 1).unwrap(), 16);
    assert_eq!(conf.get_u64("absent", 1).unwrap(), 1);
    assert_eq!(
        conf.get_duration("t", Duration::ZERO, Duration::from_millis(1)).unwrap(),
        Duration::from_secs(180)
    );
    assert!(conf.get_bool("yes", false) && conf.get_bool("n", true));
    let error = conf.get_u64("bad", 1).unwrap_err().to_string();
    assert!(error.contains("bad is 'many'") && error.contains("yarn-site.xml:2"), "{error}");
}

#[test]
fn resource_manager_addresses_with_and_without_ha() {
    let mut conf = HadoopConf::with_defaults();
    assert_eq!(conf.resource_manager_addresses().unwrap(), [Address::new("0.0.0.0", 8032)]);
    conf.set("yarn.resourcemanager.hostname", "rm");
    conf.set("yarn.resourcemanager.scheduler.address", "${yarn.resourcemanager.hostname}:1234");
    assert_eq!(conf.scheduler_addresses().unwrap(), [Address::new("rm", 1234)]);
    conf.set("yarn.resourcemanager.ha.enabled", "true");
    conf.set("yarn.resourcemanager.ha.rm-ids", "rm1, rm2");
    conf.set("yarn.resourcemanager.hostname.rm1", "h1");
    conf.set("yarn.resourcemanager.address.rm2", "h2:99");
    assert_eq!(
        conf.resource_manager_addresses().unwrap(),
        [Address::new("h1", 8032), Address::new("h2", 99)]
    );
    conf.set("yarn.resourcemanager.address.rm2", "h2");
    assert!(conf.resource_manager_addresses().unwrap_err().to_string().contains("host:port"));
}

#[test]
fn connections_take_their_times_from_the_configuration() {
    let mut conf = HadoopConf::with_defaults();
    conf.set("ipc.client.rpc-timeout.ms", "0");
    conf.set("ipc.client.connect.timeout", "5s");
    let options = conf.rpc_options().unwrap();
    assert_eq!((options.connect_timeout.as_secs(), options.call_timeout.as_secs()), (5, 120));
    conf.set("ipc.ping.interval", "often");
    assert!(conf.rpc_options().unwrap_err().to_string().contains("ipc.ping.interval"));
}

#[test]
fn name_nodes_by_service_or_by_host() {
    let mut conf = HadoopConf::with_defaults();
    conf.set("dfs.ha.namenodes.ns", "a,b");
    conf.set("dfs.namenode.rpc-address.ns.a", "h1:8020");
    conf.set("dfs.namenode.rpc-address.ns.b", "h2:8020");
    assert_eq!(conf.name_node_addresses("ns").unwrap().len(), 2);
    assert_eq!(conf.name_node_addresses("nn").unwrap(), [Address::new("nn", 8020)]);
    assert_eq!(conf.name_node_addresses("nn:9").unwrap(), [Address::new("nn", 9)]);
}

proptest! {
    #[test]
    fn no_document_panics(text in "[<>/a&;!\\[\"'=\n é-]{0,60}") {
        let _ = super::xml::parse_for_test(&text);
    }

    #[test]
    fn no_truncated_document_panics(cut in 0usize..150) {
        let text = "<!DOCTYPE c [<!ENTITY a \"b\">]><configuration><property name='x' value='&a;'/><property><name>y</name><value><![CDATA[z]]></value></property></configuration>";
        let _ = super::xml::parse_for_test(&text[..cut.min(text.len())]);
    }
}
