using System.Net;
using System.Net.Sockets;

namespace Abuse.Core;

/// <summary>The address of an export as clients take it, by NBD's document on URIs.</summary>
internal static class NbdUri
{
    internal static Uri Of(EndPoint endpoint, string name)
    {
        string export = Uri.EscapeDataString(name);
        return endpoint is UnixDomainSocketEndPoint unix
            ? new Uri($"nbd+unix:///{export}?socket={EscapePath(unix.ToString())}")
            : new Uri($"nbd://{endpoint}/{export}");
    }

    private static string EscapePath(string path) => string.Join('/', path.Split('/').Select(Uri.EscapeDataString));
}
