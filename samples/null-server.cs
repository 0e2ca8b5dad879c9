#:project ../Abuse.Core/Abuse.Core.csproj
using Abuse.Core;

await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(64 << 20));
using BioChannel channel = device.Control.OpenChannel();
Task server = Task.Run(async () =>
{
    await foreach (BioRequest request in channel.Reader.ReadAllAsync())
    {
        if (request.Op == BioOp.Read) request.Data.Span.Clear();
        request.Complete(BioResult.Ok);
    }
});
await new BlockClient(device).WriteAsync(0, new byte[4096]);
Console.WriteLine($"{device}, one write served");
