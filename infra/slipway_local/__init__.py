"""The AWS on this machine: emulator, Pulumi provider, images and toolchain."""
