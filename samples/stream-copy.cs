#:project ../Abuse.Core/Abuse.Core.csproj

// A disk image in a file, used through a Stream: formats a tiny archive on the disk (a header, a table of names, the contents), closes
// everything, opens the image again read-only and copies the contents out.
//
//     dotnet run samples/stream-copy.cs
using System.Text;
using Abuse.Core;

const string Magic = "TINYARCH";
const int TableEnd = 4096;

(string Name, byte[] Content)[] files =
[
    ("greeting.txt", Encoding.UTF8.GetBytes("A block device takes whole blocks; a stream takes any byte.\n")),
    ("numbers.bin", [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i * 7))]),
    ("empty", []),
];

string image = Path.Combine(Path.GetTempPath(), $"stream-copy-{Environment.ProcessId}.img");
try
{
    await using (FileTarget target = FileTarget.Create(image, size: 16 << 20))
    await using (AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true }))
    {
        Format(new BlockStream(device), files);
        Console.WriteLine($"formatted  {device}");
    }

    await using FileTarget stored = FileTarget.Open(image, new FileTargetOptions { Access = FileTargetAccess.ReadOnly });
    await using AbuseDevice again = AbuseDevice.Create(stored, new AbuseDeviceOptions { LeaveTargetOpen = true });
    using var stream = new BlockStream(again);
    Console.WriteLine($"opened     {again}");

    List<(string Name, byte[] Content)> found = Extract(stream);
    bool same = found.Count == files.Length
        && found.Zip(files).All(pair => pair.First.Name == pair.Second.Name && pair.First.Content.SequenceEqual(pair.Second.Content));
    foreach ((string name, byte[] content) in found)
    {
        Console.WriteLine($"read back  {name}, {content.Length} bytes");
    }

    // Nothing was ever written here, so it takes no room in the file, where the file system has holes.
    BlockExtent tail = stored.GetExtent(8 << 20);
    Console.WriteLine($"the disk at 8 MiB is {(tail.IsHole ? "a hole" : "stored")}");
    Console.WriteLine(same ? "ok" : "FAILED: what was read back differs");
    return same ? 0 : 1;
}
finally
{
    File.Delete(image);
}

static void Format(Stream disk, IReadOnlyCollection<(string Name, byte[] Content)> files)
{
    using var writer = new BinaryWriter(disk, Encoding.UTF8);
    writer.Write(Encoding.ASCII.GetBytes(Magic));
    writer.Write(files.Count);
    long at = TableEnd;
    foreach ((string name, byte[] content) in files)
    {
        writer.Write(name);
        writer.Write(at);
        writer.Write(content.Length);
        at += content.Length;
    }

    disk.Position = TableEnd;
    foreach ((_, byte[] content) in files)
    {
        using var source = new MemoryStream(content);
        source.CopyTo(disk);
    }

    // Durable from here on: a flush bio, which the target turns into fsync.
    disk.Flush();
}

static List<(string Name, byte[] Content)> Extract(Stream disk)
{
    using var reader = new BinaryReader(disk, Encoding.UTF8);
    if (Encoding.ASCII.GetString(reader.ReadBytes(Magic.Length)) != Magic)
    {
        throw new InvalidDataException("There is no archive on this disk.");
    }

    var table = new (string Name, long Offset, int Length)[reader.ReadInt32()];
    for (int i = 0; i < table.Length; i++)
    {
        table[i] = (reader.ReadString(), reader.ReadInt64(), reader.ReadInt32());
    }

    var found = new List<(string, byte[])>();
    foreach ((string name, long offset, int length) in table)
    {
        disk.Position = offset;
        found.Add((name, reader.ReadBytes(length)));
    }

    return found;
}
