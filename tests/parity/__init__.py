"""What a broker does on the wire, asked of every broker alike: real releases and the embedded one."""
