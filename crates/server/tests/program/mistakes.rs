//! What an operator did wrong is told in one sentence that says what to do.

use std::{fs, net::TcpListener};

use crate::{Home, complaint};

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let home = Home::new("");
    home.write(&format!("[[listeners]]\naddress = \"{address}\"\n"));
    let complaint = complaint(home.command(&["serve"]));
    assert!(complaint.starts_with(&format!("{address} is in use: stop")), "{complaint}");
}

#[test]
fn a_data_directory_that_cannot_be_written() {
    let home = Home::new("");
    fs::write(home.path("data"), "a file, and no directory").unwrap();
    let complaint = complaint(home.command(&["serve"]));
    assert!(complaint.contains("cannot write in"), "{complaint}");
    assert!(complaint.ends_with("): choose another directory"), "{complaint}");
}

#[test]
fn a_store_that_another_server_has_open() {
    let home = Home::new("");
    let server = home.serve();
    let pid = server.pid();
    for words in [["serve"].as_slice(), &["admin", "create-user", "alice"]] {
        let mut command = home.command(words);
        let password = home.path("password");
        fs::write(&password, "a good password\n").unwrap();
        command.stdin(fs::File::open(password).unwrap());
        let complaint = complaint(command);
        assert!(
            complaint.contains(&format!("in use by process {pid}: stop it first")),
            "{complaint}"
        );
    }
}

#[test]
fn a_store_of_another_server_name() {
    let home = Home::new("");
    drop(home.serve());
    let mut command = home.command(&["serve"]);
    command.env("TERTULIA_SERVER_NAME", "example.org");
    let complaint = complaint(command);
    assert!(complaint.contains("belongs to the server localhost"), "{complaint}");
}

#[test]
fn open_registration_that_others_can_reach() {
    let home = Home::new("[registration]\nmode = \"open\"\n");
    let mut command = home.command(&["serve"]);
    command.env("TERTULIA_LISTENERS", "[{ address = \"0.0.0.0:0\" }]");
    let complaint = complaint(command);
    assert!(complaint.contains("`registration.open_to_others`"), "{complaint}");
}

#[test]
fn a_certificate_that_is_not_there() {
    let home = Home::new("");
    home.write("[[listeners]]\naddress = \"127.0.0.1:0\"\ncertificate = \"/nowhere.pem\"\nkey = \"/nowhere.key\"\n");
    for command in ["serve", "check-config"] {
        let complaint = complaint(home.command(&[command]));
        assert!(complaint.contains("/nowhere.pem"), "{complaint}");
        assert!(complaint.contains("`certificate`"), "{complaint}");
    }
}

#[test]
fn the_same_address_twice() {
    let home = Home::new("");
    home.write(&"[[listeners]]\naddress = \"127.0.0.1:1\"\n".repeat(2));
    for command in ["serve", "check-config"] {
        let complaint = complaint(home.command(&[command]));
        assert!(complaint.contains("`address` 127.0.0.1:1"), "{complaint}");
    }
}

#[test]
fn a_setting_that_does_not_exist() {
    let home = Home::new("");
    home.write("sever_name = \"example.org\"\n");
    let complaint = complaint(home.command(&["check-config"]));
    assert!(
        complaint
            .ends_with("line 2: there is no setting `sever_name`; did you mean `server_name`?"),
        "{complaint}"
    );
}
