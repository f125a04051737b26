use super::{BYTES, Command, DOCUMENT, ENTRIES, Inventory, Plugin, covers, named};

fn command(name: &str, inputs: &str) -> Command {
    Command { name: name.into(), plugin: "p".into(), inputs: inputs.into(), ..Command::default() }
}

fn schema(bytes: usize) -> String {
    format!("{{\"title\":\"{}\"}}", "x".repeat(bytes))
}

fn commands(commands: Vec<Command>) -> (Vec<Command>, usize) {
    let (bounded, left_out) = Inventory { commands, plugins: vec![] }.bounded();
    (bounded.commands, left_out)
}

#[test]
fn a_pattern_covers_what_its_parts_say() {
    let pattern = "kubernetes.{resource}.{verb}.{version+}";
    for (command, covered) in [
        ("kubernetes.pods.get.v1", true),
        ("kubernetes.ingresses.get.networking.k8s.io/v1", true),
        ("kubernetes.pods.get", false),
        ("helm.pods.get.v1", false),
    ] {
        assert_eq!(covers(pattern, command), covered, "{command}");
    }
    assert!(covers("helloworld", "helloworld"));
    assert!(!covers("helloworld", "helloworld.x"));
}

#[test]
fn what_is_usual_is_kept_as_it_is_and_in_order() {
    let said = vec![command("b", &schema(9)), command("a", "")];
    let (kept, left_out) = commands(said.clone());
    assert_eq!((kept, left_out), (vec![said[1].clone(), said[0].clone()], 0));
}

#[test]
fn a_name_that_no_row_holds_is_left_out() {
    let nameless = Command { plugin: String::new(), ..command("b", "") };
    let (kept, left_out) = commands(vec![command("", ""), command(&"x".repeat(256), ""), nameless, command("a", "")]);
    assert_eq!((kept, left_out), (vec![command("a", "")], 3));
    let plugin = Plugin { name: "x".repeat(256), ..Plugin::default() };
    assert_eq!(Inventory { plugins: vec![plugin], commands: vec![] }.bounded(), (Inventory::default(), 1));
}

#[test]
fn what_is_no_object_or_too_deep_or_too_large_is_not_a_schema() {
    let deep = format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500));
    for wrong in ["1", "[]", "{", "true", &deep, &schema(DOCUMENT)] {
        assert_eq!(commands(vec![command("a", wrong)]), (vec![command("a", "")], 0), "{:.20}", wrong);
    }
}

#[test]
fn schemas_go_before_commands_do() {
    let many = |count: usize, bytes: usize| (0..count).map(|n| command(&format!("{n:05}"), &schema(bytes))).collect();
    let (kept, left_out) = commands(many(100, BYTES / 100));
    assert_eq!((kept.len(), left_out), (100, 0));
    assert!(kept.iter().all(|command| command.inputs.is_empty()));
    let (kept, left_out) = commands(many(ENTRIES + 5, 1));
    assert_eq!((kept.len(), left_out), (ENTRIES, 5));
    let large = |n: usize| Command { effect: "x".repeat(DOCUMENT), ..command(&format!("{n:05}"), "") };
    let (kept, left_out) = commands((0..20).map(large).collect());
    assert_eq!((kept.len(), left_out), (7, 13));
    assert!(serde_json::to_string(&kept).unwrap().len() <= BYTES);
}

#[test]
fn an_agents_own_words_are_cut_between_characters() {
    let (name, version) = named("é".repeat(300), "é".repeat(300));
    assert_eq!((name, version), ("é".repeat(255), "é".repeat(64)));
}
