#:project ../Abuse.Core/Abuse.Core.csproj

// A device in one process, its servers in others. This program is all of them: without arguments it has the device, starts two servers, reads and
// writes, kills the first server under load, and starts a third.
using System.Diagnostics;
using System.Net.Sockets;
using Abuse.Core;

if (args is ["server", var path, var file])
{
    await using RemoteControl control = await RemoteControl.ConnectAsync(new UnixDomainSocketEndPoint(path));
    await using FileTarget store = FileTarget.Open(file, new FileTargetOptions { Share = FileShare.ReadWrite });
    using BioServer server = control.Serve(store, concurrency: 4);
    await control.Completion;
    return 0;
}

const int Size = 16 << 20;
const int Block = 4096;
string directory = Directory.CreateTempSubdirectory("abuse-remote").FullName;
string socket = Path.Combine(directory, "device");
string image = Path.Combine(directory, "image");
await FileTarget.Create(image, Size).DisposeAsync();

await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size) { Features = BlockFeatures.Flush });
await using RemoteControlServer host = RemoteControlServer.Start(device, new UnixDomainSocketEndPoint(socket));
host.Disconnected += (_, end) => Console.WriteLine($"  a server is gone: {end.Reason}");
Process[] servers = [StartServer(), StartServer()];

// The first bios wait until somebody is there.
var client = new BlockClient(device);
using var stop = new CancellationTokenSource();
Task<int>[] workers = [.. Enumerable.Range(0, 8).Select(worker => Task.Run(() => WorkAsync(worker)))];
await UntilAsync(500, connections: 2);
Console.WriteLine($"two servers: {host.Statistics}");
servers[0].Kill();
await UntilAsync(host.Statistics.Bios + 500, connections: 1);
Console.WriteLine($"one killed under load: {host.Statistics}");
Process third = StartServer();
await UntilAsync(host.Statistics.Bios + 500, connections: 2);
await stop.CancelAsync();
int[] blocks = await Task.WhenAll(workers);
Console.WriteLine($"{blocks.Sum()} blocks written and read back, all as they were written: {host.Statistics}");
foreach (Process process in (Process[])[servers[1], third])
{
    process.Kill();
    await process.WaitForExitAsync();
}

await host.DisposeAsync();
Directory.Delete(directory, recursive: true);
return 0;

Process StartServer()
{
    // The program as it runs: a file of its own, or an assembly that dotnet executes.
    string program = Environment.ProcessPath!;
    bool isDotnet = Path.GetFileNameWithoutExtension(program) == "dotnet";
    string[] start = isDotnet ? ["exec", Path.Combine(AppContext.BaseDirectory, "remote-server.dll")] : [];
    return Process.Start(program, [.. start, "server", socket, image]);
}

async Task<int> WorkAsync(int worker)
{
    byte[] written = new byte[Block];
    byte[] read = new byte[Block];
    var random = new Random(worker);
    int count = 0;
    for (; !stop.IsCancellationRequested; count++)
    {
        long offset = ((worker * (Size / Block / 8)) + random.Next(Size / Block / 8)) * (long)Block;
        random.NextBytes(written);
        await client.WriteAsync(offset, written);
        await client.ReadAsync(offset, read);
        if (!read.AsSpan().SequenceEqual(written)) throw new InvalidDataException($"Block at {offset} is another.");
    }

    return count;
}

async Task UntilAsync(long bios, int connections)
{
    while (host.Statistics.Bios < bios || host.Statistics.Connections != connections)
    {
        if (workers.FirstOrDefault(worker => worker.IsFaulted) is { } failed) await failed;
        await Task.Delay(10);
    }
}
